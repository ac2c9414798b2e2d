"""A secret, from a person who types it unseen, or from standard input."""

import sys

import click

from devsynthd.wire.errors import BadRequest

_MAX_LINE_BYTES = 2**16


def read_secret(key: str) -> str:
    """Return the value of the secret *key*, from a person who types it unseen, or from stdin.

    Raises:
        BadRequest: There is none.
    """
    try:
        value = _typed_unseen(key) if sys.stdin and sys.stdin.isatty() else _first_line()
    except UnicodeDecodeError:
        # Without its cause, which quotes the secret.
        raise BadRequest(f"what was given as {key} is not UTF-8 text") from None
    if not value:
        raise BadRequest(
            f"{key} got no value", hint=f"to take it away: devsynthctl config unset {key}"
        )
    return value


def _typed_unseen(key: str) -> str:
    value: str = click.prompt(key, default="", show_default=False, hide_input=True, err=True)
    return value


def _first_line() -> str:
    if sys.stdin is None:
        return ""
    try:
        return sys.stdin.buffer.readline(_MAX_LINE_BYTES).decode().rstrip("\r\n")
    except OSError:  # open for writing only, as nohup leaves it
        return ""
