"""Lines of JSON in, lines of JSON out: what the pipe is made of, and how it runs."""

import threading
from collections.abc import Callable

from devsynthctl.pipe.bell import Bell
from devsynthctl.pipe.dispatch import Dispatch
from devsynthctl.pipe.in_flight import InFlight
from devsynthctl.pipe.outbox import Outbox
from devsynthctl.pipe.receiving import Receiving
from devsynthctl.pipe.sending import Sending

MAX_OWN_UNWRITTEN_BYTES = 4 * 1024 * 1024
"""With more than that unwritten, what the pipe has to tell itself waits, and stdin with it."""

_SILENCE_S = 1.0


class Pipe:
    """Passes requests on from *stdin* to the daemon at *address*, and its replies back.

    Three threads: one reads stdin and sends, one reads replies, and the one that calls `run` writes
    them. So neither does a slow reader keep a ``cancel`` from the daemon, nor a silent stdin or
    daemon a signal from ending it all.

    Args:
        address: The socket as ``--socket`` gives it; null: found by the common rule.
        stdin: A descriptor; null: there is nothing to be read.
        timeout_s: Until the deadline of requests that have none; null: none.
        max_generating: Generations and embeddings in flight; with as many, stdin is not read on.
        wait_s: How long a line waits for a daemon that is not there.

    Raises:
        ConfigInvalid: *address* cannot be the daemon's.
    """

    def __init__(
        self,
        address: str | None,
        stdin: int | None,
        timeout_s: float | None,
        max_generating: int,
        wait_s: float,
    ) -> None:
        self._outbox, bell = Outbox(), Bell()
        in_flight = InFlight(max_generating)
        self._receiving = Receiving(in_flight, self._outbox, bell)
        dispatch = Dispatch(address, in_flight, self._receiving, self._tell, wait_s)
        self._sending = Sending(stdin, dispatch, in_flight, self._tell, bell, timeout_s)

    def run(self, write: Callable[[bytes], None], on_silence: Callable[[], None]) -> None:
        """Have *write* write lines until stdin has ended, and all that it asked for.

        *on_silence* is called once a second while there is nothing to write; what it raises, and
        what a signal raises, ends everything: the daemon cancels what is in flight.

        Raises:
            BadRequest: stdin cannot be read.
        """
        # Daemonic: one that is stuck in a read of stdin must not keep the process from ending.
        for run in (self._send, self._receiving.run):
            threading.Thread(target=self._watched, args=(run,), daemon=True).start()
        while (data := self._outbox.take(_SILENCE_S)) is not None:
            if data:
                write(data)
            else:
                on_silence()

    def _send(self) -> None:
        self._sending.run()
        self._outbox.close()

    def _watched(self, run: Callable[[], None]) -> None:
        """Have what *run* raises raised where lines are written."""
        try:
            run()
        except BaseException as exc:  # noqa: BLE001 - it is raised again there
            self._outbox.fail(exc)

    def _tell(self, line: bytes) -> None:
        self._outbox.put(line, MAX_OWN_UNWRITTEN_BYTES)
