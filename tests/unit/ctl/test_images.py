"""Images as parts of a message."""

import base64
from pathlib import Path

import pytest

from devsynthctl.images import message_with_images
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_BODY_BYTES

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF87a.", "image/gif"),
        (b"GIF89a.", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_an_image_is_known_by_its_first_bytes(tmp_path: Path, data: bytes, media_type: str) -> None:
    file = tmp_path / "photo.txt"
    file.write_bytes(data)

    message = message_with_images("what is it?", [file])

    assert isinstance(message.content, list)
    text, image = message.content
    assert (message.role, text.type, text.text) == ("user", "text", "what is it?")
    assert image.image_url
    assert image.image_url.url == f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "data", [b"", b"\x89PN", b"<svg/>", b"RIFF\x00\x00\x00\x00WAVEfmt ", b"BM...."]
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(data)
    with pytest.raises(BadRequest, match=f"{file} is not an image"):
        message_with_images("x", [file])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.png", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadRequest, match=f"{path}: {reason}"):
            message_with_images("x", [path])


def test_images_that_are_too_large_together_are_refused(tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(PNG)
    large.write_bytes(PNG + bytes(MAX_BODY_BYTES // 4 * 3 - len(PNG)))
    with pytest.raises(BadRequest, match=f"{large} is too large"):
        message_with_images("x", [small, large])


def test_a_file_without_end_is_not_read_for_ever() -> None:
    with pytest.raises(BadRequest, match="/dev/zero is too large"):
        message_with_images("x", [Path("/dev/zero")])
