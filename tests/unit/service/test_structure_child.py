"""The process that holds an answer against its schema, when its daemon has been killed."""

import os
import signal
import subprocess

import pytest

from devsynthd.service.structure import COMMAND

QUESTION = b'{"schema": {"type": "integer"}, "answer": "text"}'


@pytest.fixture
def unread() -> int:
    """Return the end of a pipe whose other end is closed."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


def test_what_nobody_reads_is_dropped_without_a_word(unread: int) -> None:
    child = subprocess.run(
        COMMAND,
        input=QUESTION,
        stdout=unread,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(unread)

    assert (child.returncode, child.stderr) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("part", [b"", QUESTION[:-1]])
def test_half_a_question_is_left_without_a_word(part: bytes) -> None:
    child = subprocess.run(COMMAND, input=part, capture_output=True, check=False)

    assert (child.returncode, child.stdout, child.stderr) == (os.EX_DATAERR, b"", b"")
