"""The command ``devsynthd``."""

import sys

if __name__ == "__main__" and __spec__ and not sys.flags.safe_path:  # by `python -m`
    del sys.path[0]  # the folder that it happens to run in is no place to import from

import signal


def main() -> None:
    """Run the daemon that ``sys.argv`` tells of, and exit with its status."""
    # A Ctrl-C while the rest is still being loaded ends it without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from devsynthd.host.lean_requests import import_lean_requests  # noqa: PLC0415

    import_lean_requests()
    from devsynthd.command import command  # noqa: PLC0415

    command(prog_name="devsynthd")


if __name__ == "__main__":
    main()
