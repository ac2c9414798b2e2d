"""How a signal ends the command: in order, so that what is asked is cancelled."""

import signal

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What others end a command with; Ctrl-C is a ``KeyboardInterrupt``, as in any Python program."""


def end_in_order() -> None:
    """Have each of `SIGNALS` raise ``SystemExit``, with 128 and its number, where code runs.

    One that is ignored, as by ``nohup``, stays ignored. A second one does not wait for what the
    first one has begun.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)
