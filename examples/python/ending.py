"""How the scripts here end: with a line instead of a traceback, and devsynthctl's exit status."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from devsynthctl import DevsynthError
from devsynthctl.exits import BROKEN_PIPE, INTERRUPTED, exit_status


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run *main* and exit: with its status (null: 0), or with that of what ended it."""
    try:
        status = main() or 0
        sys.stdout.flush()
    except DevsynthError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        print(f"{error.code}: {error}{hint}", file=sys.stderr)
        status = exit_status(error.code)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        # Whoever reads this has gone, as `head` does; at its exit Python would write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    sys.exit(status)
