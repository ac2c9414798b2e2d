"""Image files as parts of a message."""

import base64
from collections.abc import Iterable
from pathlib import Path

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import ContentPart, ImageUrl, Message

_BASE64_STEP = 3  # so many bytes become four characters


def message_with_images(prompt: str, paths: Iterable[Path]) -> Message:
    """Return the user's message that says *prompt* and shows the images in *paths*.

    Raises:
        BadRequest: A file cannot be read or is no image, or they are larger than a request may be.
    """
    parts = [ContentPart(type="text", text=prompt)]
    left_bytes = MAX_BODY_BYTES // 4 * _BASE64_STEP
    for path in paths:
        data = _read(path, left_bytes)
        left_bytes -= len(data)
        url = f"data:{_media_type(path, data)};base64,{base64.b64encode(data).decode()}"
        parts.append(ContentPart(type="image_url", image_url=ImageUrl(url)))
    return Message(role="user", content=parts)


def _read(path: Path, left_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(left_bytes + 1)
    except OSError as exc:
        raise BadRequest(f"{path}: {exc.strerror}", hint="--image takes an image file") from exc
    if len(data) > left_bytes:
        raise BadRequest(
            f"{path} is too large: all images of a request together may have "
            f"{MAX_BODY_BYTES // 4 * _BASE64_STEP} bytes",
            hint="make it smaller: most models look at some 1000 x 1000 pixels only",
        )
    return data


def _media_type(path: Path, data: bytes) -> str:
    match data[:12]:
        case start if start.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png"
        case start if start.startswith(b"\xff\xd8\xff"):
            return "image/jpeg"
        case start if start.startswith((b"GIF87a", b"GIF89a")):
            return "image/gif"
        case start if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
            return "image/webp"
        case _:
            raise BadRequest(
                f"{path} is not an image that can be sent: its first bytes are not those of"
                " PNG, JPEG, WebP or GIF",
                hint="convert it to PNG or JPEG",
            )
