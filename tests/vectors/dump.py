"""Messages as a page shows them: bytes as a hex dump, values as JSON that fits. Pure."""

import json
import textwrap
from collections.abc import Iterator
from itertools import repeat
from typing import Any

ROW_BYTES = 16
MAX_ROWS = 16
"""Of one message; of a longer one the first `FEW_ROWS` are shown."""

FEW_ROWS = 3
WIDTH = 92


def hex_rows(body: bytes) -> Iterator[str]:
    """Yield *body* in rows of an offset, the bytes, and what of them is ASCII."""
    whole = len(body) <= MAX_ROWS * ROW_BYTES
    shown = body if whole else body[: FEW_ROWS * ROW_BYTES]
    for at in range(0, len(shown), ROW_BYTES):
        row = shown[at : at + ROW_BYTES]
        halves = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{at:04x}  {halves}  {text}"
    if not whole:
        yield f"....  {len(body) - len(shown)} more bytes"


def json_rows(value: Any, indent: str = "", before: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield *value* as JSON, as little broken into lines as possible; *before* stands before it."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(before) + len(flat) < WIDTH or not isinstance(value, dict | list):
        yield f"{indent}{before}{flat}"
        return
    inner = f"{indent}  "
    if isinstance(value, list) and not any(isinstance(part, dict | list) for part in value):
        yield f"{indent}{before}["
        yield from textwrap.wrap(
            flat[1:-1], WIDTH, initial_indent=inner, subsequent_indent=inner, break_long_words=False
        )
        yield f"{indent}]"
        return
    first, last = "{}" if isinstance(value, dict) else "[]"
    names = [f"{json.dumps(name)}: " for name in value] if isinstance(value, dict) else repeat("")
    parts = value.values() if isinstance(value, dict) else value
    yield f"{indent}{before}{first}"
    for number, (part, name) in enumerate(zip(parts, names, strict=False), 1):
        *rows, final = json_rows(part, inner, name)
        yield from rows
        yield final + ("," if number < len(value) else "")
    yield f"{indent}{last}"
