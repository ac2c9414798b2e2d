"""Generations at one server: a chat goes out, its deltas come back as they are read."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack, closing, suppress
from functools import partial

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Chat, Delta, Ending, Stages
from devsynthd.upstream.bodies import Order, order_of
from devsynthd.upstream.exchanges import Exchanges, given_up
from devsynthd.upstream.failures import ModelGone, failure_of, final, incomplete
from devsynthd.upstream.fill_in import FillIn, cannot_fill_in
from devsynthd.upstream.http import RESET_AT_ONCE_S, Http, Timeouts
from devsynthd.upstream.kept import Kept, NotSent
from devsynthd.upstream.line import Line
from devsynthd.upstream.reading import WHOLE_LIMIT, Reading
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.reply import Reply
from devsynthd.upstream.stream import READ_BYTES, Stream
from devsynthd.upstream.transport_errors import check_size, given_time, upstream_errors, was_reset
from devsynthd.upstream.waits import Waits
from devsynthd.wire.errors import DevsynthError

MAX_ERROR_BYTES = 2**20


class Chats:
    """Asks at *http*, on threads of *exchanges*; keeps *secrets* out of errors.

    A thread does what may block: it opens the connection. The event loop asks on it and reads; a
    request that it cannot send at once has the thread until the head of the answer has come.
    *prefix* leads from the base of *http* to that of the API: ``/v1`` or nothing.
    """

    def __init__(
        self,
        http: Http,
        prefix: str,
        timeouts: Timeouts,
        exchanges: Exchanges,
        *,
        secrets: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http, self._prefix, self._timeouts, self._clock = http, prefix, timeouts, clock
        self._address, self._secrets = http.address, secrets
        self._exchanges = exchanges
        self._buffer = memoryview(bytearray(READ_BYTES))

    async def chat(
        self, chat: Chat, relay: Relay[Delta], stages: Stages, fill_in: FillIn | None = None
    ) -> Ending:
        """Put the deltas of the answer into *relay* as they come; return how it ended.

        *stages* is told ``sent`` first: of as many chats as there are threads none waits for one.
        *fill_in* is how the server fills in the middle.

        Raises:
            DevsynthError: As ``Upstream.chat`` says.
        """
        if chat.suffix is not None and fill_in in (None, FillIn.NONE):
            raise cannot_fill_in(self._address)
        stages.sent()
        answer, line = Answer(address=self._address, secrets=self._secrets), Line()
        waits = Waits(answer, self._timeouts, self._clock)
        order = order_of(chat, fill_in)
        try:
            with upstream_errors(self._address, waits.patience):
                body = await self._body_of(order, waits, line)
                if isinstance(body, Stream):
                    await self._read(body, answer, relay, waits, line)
                else:
                    _take_whole(body, answer, relay)
                return answer.ending()
        except DevsynthError as error:
            if answer.started:
                raise incomplete(error) from error
            if isinstance(error, ModelGone) and line.sent_again:
                raise final(error) from error
            raise

    async def _body_of(self, order: Order, waits: Waits, line: Line) -> Stream | bytes:
        """Send *order* and return what answers it, to be read or whole."""
        reply = await self._ask_here(order, waits, line)
        if reply is not None:
            return await self._taken_from(reply, waits, line)
        async with self._given_time(waits):
            return await self._exchanges.run(
                partial(self._ask, order, waits), line, keeps=_is_stream, discard=_close
            )

    async def _ask_here(self, order: Order, waits: Waits, line: Line) -> Reply | None:
        """Send *order* and return what answers it; a thread only opens the connection.

        Null: it cannot be sent so. The rules for sending it once more are those of ``Http``.
        """
        if not self._http.can_ask_here(order.body):
            return None
        what = (self._path(order), order.body)
        with self._exchanges.under_way(line.hang_up), suppress(NotSent):
            kept = self._http.kept(*what, line, at_root=order.at_root)
            if kept is not None:
                sent_at = time.monotonic()
                try:
                    return Reply(await kept.ask(self._buffer, waits.left_s()), line)
                except OSError as exc:
                    at_once = time.monotonic() - sent_at < RESET_AT_ONCE_S
                    if line.hung_up or not at_once or not was_reset(exc):
                        raise
                    line.sent_again = True
            async with self._given_time(waits):
                fresh = await self._exchanges.run(
                    lambda _: self._http.opened(*what, line, at_root=order.at_root),
                    line,
                    keeps=lambda _: True,
                    discard=Kept.close,
                )
            return Reply(await fresh.ask(self._buffer, waits.left_s()), line)
        return None

    async def _taken_from(self, reply: Reply, waits: Waits, line: Line) -> Stream | bytes:
        if self._streams(reply):
            return self._body(reply, waits)
        try:
            async with self._given_time(waits):
                return await self._exchanges.run(lambda _: self._body(reply, waits), line)
        except BaseException:
            reply.close()  # it may not have begun
            raise

    def _given_time(self, waits: Waits) -> AbstractAsyncContextManager[None]:
        """Return what ends the work of a thread: the patience of *waits*, and time to connect."""
        limit_s = self._timeouts.connect_s + max(0.0, waits.left_s())
        return given_time(self._address, waits.patience(), limit_s)

    def _ask(self, order: Order, waits: Waits, line: Line) -> Stream | bytes:
        """Send *order* and return what answers it, to be read or whole (on a thread).

        Raises:
            DevsynthError: It says that it fails, or has no end.
        """
        reply = self._http.ask(
            self._path(order),
            order.body,
            line,
            timeout_s=self._timeouts.first_token_s,
            at_root=order.at_root,
        )
        return self._body(reply, waits)

    def _path(self, order: Order) -> str:
        return order.path if order.at_root else self._prefix + order.path

    @staticmethod
    def _streams(reply: Reply) -> bool:
        """Return whether *reply* is an event stream, or as good as one."""
        return reply.ok and reply.media_type not in {"text/html", "application/json"}

    def _body(self, reply: Reply, waits: Waits) -> Stream | bytes:
        """Return the body of *reply*: if it is not to be read as it comes, all of it."""
        with ExitStack() as stack:
            stack.callback(reply.close)
            if self._streams(reply):
                stream = reply.stream()
                stack.pop_all()
                return stream
            if not reply.ok or reply.media_type == "text/html":
                raise failure_of(
                    reply.status,
                    reply.content_type,
                    reply.read_all(MAX_ERROR_BYTES, waits.left_s),
                    address=self._address,
                    secrets=self._secrets,
                )
            # It does not stream, or it failed with status 200.
            body = reply.read_all(WHOLE_LIMIT.max_bytes, waits.left_s)
            check_size(self._address, body, WHOLE_LIMIT)
            return body

    async def _read(
        self, stream: Stream, answer: Answer, relay: Relay[Delta], waits: Waits, line: Line
    ) -> None:
        """Read *stream* to its end, and let go of it and of *line*."""
        try:
            with closing(stream):
                reading = Reading(stream, answer, relay, waits, self._address, self._buffer)
                with self._exchanges.under_way(lambda: reading.give_up(given_up())):
                    await reading.run()
        finally:
            line.let_go()


def _is_stream(body: Stream | bytes) -> bool:
    return isinstance(body, Stream)


def _close(body: Stream | bytes) -> None:
    if isinstance(body, Stream):
        body.close()


def _take_whole(body: bytes, answer: Answer, relay: Relay[Delta]) -> None:
    """Hand on the one answer in *body*, of a server that does not stream."""
    if deltas := answer.whole(body):
        relay.put(deltas)
    if answer.failure is not None:
        raise answer.failure
