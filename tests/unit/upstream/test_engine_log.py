"""What a person is told of a native log and of the end of a process."""

import pytest

from devsynthd.upstream.cleaning import MAX_CHARS
from devsynthd.upstream.engine_log import LogTail, describe_exit


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"0.00.1 I srv: loading\nAssertionError: no", "AssertionError: no"),
        (
            (
                b"0.00.009.123 I srv  load_model: loading\n"
                b"0.02.226.802 E ggml_aligned_malloc: insufficient memory\n"
                b"0.02.226.824 E ggml_backend: failed to allocate buffer\n"
                b"0.02.260.132 E srv          init: exiting due to model loading error\n"
            ),
            "ggml_aligned_malloc: insufficient memory",
        ),
        (b"one\x00two\x1b]0;x\x07\tthree   four\xff\r\n", "one two three four\ufffd"),
        (b"x" * 1000, "x" * (MAX_CHARS - 1) + "…"),
    ],
)
def test_reason_is_one_clean_line(log: bytes, reason: str) -> None:
    tail = LogTail()
    for byte in log:
        tail.feed(bytes([byte]))

    assert tail.reason() == reason


def test_tail_keeps_the_end() -> None:
    tail = LogTail(max_bytes=16)
    tail.feed(b"an early line\n" * 10)
    tail.feed(b"the last line\n")

    assert tail.reason() == "the last line"


def test_cleared_tail_gives_no_reason() -> None:
    tail = LogTail()
    tail.feed(b"0.00.1 E srv: bad\n")
    tail.clear()

    assert tail.reason() == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (-6, "SIGABRT"),
        (-9, "SIGKILL, perhaps for want of memory"),
        (-255, "signal 255"),
    ],
)
def test_end_of_a_process_in_words(status: int, words: str) -> None:
    assert describe_exit(status) == words
