"""What has come of one answer. Pure."""

from msgspec import Raw

from devsynthctl.attempts import Answer
from devsynthctl.call import read_result
from devsynthctl.errors import BadReply
from devsynthd.wire.errors import Incomplete
from devsynthd.wire.replies import Chunk, ReceivedResult
from devsynthd.wire.results import Completion


class Gathered:
    """Chunks in their order, and the result that ends them."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._raw: Raw | None = None

    @property
    def text(self) -> str:
        """The text of the chunks so far."""
        return "".join(self._texts)

    @property
    def raw(self) -> Raw:
        """The result as it came, in MessagePack.

        Raises:
            RuntimeError: It has not come.
        """
        if self._raw is None:
            raise RuntimeError("the stream has no result before its end")
        return self._raw

    @property
    def result(self) -> Completion:
        """The result.

        Raises:
            RuntimeError: It has not come.
            BadReply: It is not in the protocol.
        """
        return read_result(self.raw, Completion)

    def take(self, reply: Answer) -> Chunk | None:
        """Take in *reply*, and return it if it is a chunk; null: it is the result.

        Raises:
            Incomplete: A chunk before it did not come.
            BadReply: It is neither.
        """
        match reply:
            case ReceivedResult(result=result):
                self._raw = result
                return None
            case Chunk(seq=seq) if seq == len(self._texts):
                self._texts.append(reply.text)
                return reply
            case Chunk():
                raise Incomplete(
                    f"a part of the answer was lost: chunk {len(self._texts)} did not come",
                    hint="ask again",
                )
            case _:
                raise BadReply(f"a generation was answered by {type(reply).__name__}")
