"""Lines on their way to whoever writes them."""

import threading

import pytest

from devsynthctl.pipe.outbox import Outbox

WAIT_S = 10.0


def test_all_that_has_gathered_is_taken_at_once() -> None:
    outbox = Outbox()
    for line in (b"a", b"b", b"c"):
        outbox.put(line, 0 if line == b"a" else 10)

    assert outbox.take(0) == b"a\nb\nc\n"
    assert outbox.take(0) == b""


def test_a_line_is_one_line() -> None:
    outbox = Outbox()
    outbox.put(b'{"a":\n1}', 0)

    assert outbox.take(0) == b'{"a": 1}\n'


def test_what_was_put_before_the_end_is_taken() -> None:
    outbox = Outbox()
    outbox.put(b"a", 0)
    outbox.close()

    assert outbox.take(WAIT_S) == b"a\n"
    assert outbox.take(WAIT_S) is None


def test_a_fault_is_raised_where_lines_are_taken() -> None:
    outbox = Outbox()
    outbox.put(b"a", 0)
    outbox.fail(ZeroDivisionError("why"))

    with pytest.raises(ZeroDivisionError, match="why"):
        outbox.take(WAIT_S)


def test_who_puts_more_than_fits_is_held_until_it_is_taken() -> None:
    outbox = Outbox()
    outbox.put(b"long", 3)
    thread = threading.Thread(target=outbox.put, args=(b"next", 3))
    thread.start()
    outbox.put(b"own", 4)  # another limit, another patience

    assert outbox.take(WAIT_S) == b"long\nown\n"
    assert outbox.take(WAIT_S) == b"next\n"
    thread.join(WAIT_S)
    assert not thread.is_alive()
