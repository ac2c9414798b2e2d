"""Decodes the bodies of servers that compress them although nobody asked for that."""

import http.client
import zlib

MAX_STEP_BYTES = 65_536
"""No step gives more, so that a thousandfold of what has come is never there at once."""


class Inflater:
    """Turns the bytes of a body in gzip or deflate, cut anywhere, into the body, step by step."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # which tells the two apart
        self.has_more = False  # a step without any new bytes gives some

    def step(self, data: bytes = b"") -> bytes:
        """Return what *data* and what was left of those before add, as much as a step gives.

        What comes after the end of the compressed data is passed over.

        Raises:
            HTTPException: It is in another coding, or broken.
        """
        if self._inflate.eof:
            return b""
        try:
            body = self._inflate.decompress(self._inflate.unconsumed_tail + data, MAX_STEP_BYTES)
        except zlib.error as exc:
            raise http.client.HTTPException(str(exc)) from exc
        # Once it is full, there may be more although all has been consumed.
        self.has_more = len(body) == MAX_STEP_BYTES and not self._inflate.eof
        return body


def inflater_for(coding: str) -> Inflater | None:
    """Return what decodes a body in *coding*; null where there is nothing to do.

    Raises:
        HTTPException: Nothing does. It was not asked for.
    """
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Inflater()
        case _:
            raise http.client.HTTPException(f"a body in the encoding {coding!r}")
