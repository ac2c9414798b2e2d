"""The command ``devsynthctl``."""

import sys

if __name__ == "__main__" and __spec__ and not sys.flags.safe_path:  # by `python -m`
    del sys.path[0]  # the folder that it happens to run in is no place to import from

import gc

from devsynthctl.ending import end_in_order

FEW_OBJECTS = 50_000
"""What so many objects take may wait for the garbage collector: most commands never need it."""


def main() -> None:
    """Run the command that ``sys.argv`` gives, and exit with its status."""
    end_in_order()
    gc.set_threshold(FEW_OBJECTS)  # nothing of what is imported is garbage
    try:
        # Ctrl-C may come while the rest is still being loaded.
        from devsynthctl.cli import run  # noqa: PLC0415

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    gc.freeze()  # else all of it is looked through once more, just to end
    sys.exit(status)


if __name__ == "__main__":
    main()
