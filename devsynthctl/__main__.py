"""The command ``devsynthctl``."""

import sys

from devsynthctl.ending import end_in_order


def main() -> None:
    """Run the command that ``sys.argv`` gives, and exit with its status."""
    end_in_order()
    try:
        # Ctrl-C may come while the rest is still being loaded.
        from devsynthctl.cli import run  # noqa: PLC0415

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
