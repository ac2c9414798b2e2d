"""Decoders of what a daemon says: made when they are needed, and once."""

import functools
import signal
from typing import Any

from msgspec.msgpack import Decoder


def decoder_of(shape: Any) -> Decoder[Any]:  # noqa: ANN401 - a type, or several with a | between
    """Return a decoder for *shape*.

    Ctrl-C is held back while it is made, which may take milliseconds: msgspec asks Python for the
    types in it, and takes a KeyboardInterrupt for their answer. It would be lost.
    """
    return _made(shape)


@functools.cache
def _made(shape: Any) -> Decoder[Any]:  # noqa: ANN401 - as above
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return Decoder(shape)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
