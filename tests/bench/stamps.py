"""Texts whose tokens tell when they were sent, and whose end tells whether all has come. Pure."""

import hashlib

SEAL = "="
"""What stands before the last token, a digest of all before it."""


class Stamper:
    """Makes the tokens of one text."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def token(self, now_ns: int) -> str:
        """Return a token that is sent at *now_ns* (``time.monotonic_ns``, one clock a machine)."""
        token = f"{now_ns} "
        self._digest.update(token.encode())
        return token

    def seal(self) -> str:
        """Return the last token."""
        return SEAL + self._digest.hexdigest()


def stamps_in(text: str) -> list[int]:
    """Return when the tokens of *text*, any part of a text between two tokens, were sent."""
    return [int(stamp) for stamp in text.partition(SEAL)[0].split()]


def is_whole(text: str) -> bool:
    """Return whether every byte of *text*, sealed, is as it was sent."""
    tokens, _, digest = text.partition(SEAL)
    return digest == hashlib.sha256(tokens.encode()).hexdigest()
