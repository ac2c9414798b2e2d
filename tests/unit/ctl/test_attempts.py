"""When a request is sent, given up, and sent again."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.attempts import (
    CALM_PAUSE_S,
    LATE_ANSWER_S,
    PROMPT_ANSWER_S,
    RETRY_PAUSE_S,
    SEND_AGAIN_S,
    Attempts,
    closed,
    earlier,
    lost,
    raise_shutdown,
    with_progress,
)
from devsynthctl.call import UNSENT
from devsynthctl.errors import DaemonUnreachable
from devsynthd.wire.errors import Cancelled, DevsynthError, ShuttingDown
from devsynthd.wire.replies import Chunk, Event, Progress
from devsynthd.wire.requests import (
    REQUEST_TYPES,
    Cancel,
    ConfigGet,
    Generate,
    List,
    Load,
    Ping,
    Request,
    Select,
    Shutdown,
    Status,
    Subscribe,
)

CHUNK = Chunk(id=7, seq=0, text="x")
EVENT = Event(
    id=7, topic="log", time=0, snapshot=False, missed=0, data=msgspec.Raw(msgspec.msgpack.encode(1))
)
QUEUED = Progress(id=7, state="queued", position=1, fraction=None, request=1)
REFUSED = ShuttingDown("draining")
ABSENT = DaemonUnreachable("devsynthd is not reachable: no socket", hint="start it")
NOW = 1000.0


def begun(request: Request, timeout_s: float | None = None) -> Attempts:
    return Attempts(request, 7, "test/1", timeout_s=timeout_s, now=NOW)


def test_what_is_sent_has_id_and_client_and_no_more() -> None:
    attempt = begun(Ping(id=UNSENT)).prepare(NOW, 5e8)
    assert msgspec.msgpack.decode(attempt.body) == {"op": "ping", "id": 7, "client": "test/1"}


@given(passed_s=st.floats(0, 100))
def test_the_timeout_that_is_sent_is_what_is_left_of_it(passed_s: float) -> None:
    attempts = begun(List(id=UNSENT), timeout_s=60)
    attempt = attempts.prepare(NOW + passed_s, 5e8 + passed_s)
    sent = msgspec.msgpack.decode(attempt.body)
    assert sent["timeout"] == pytest.approx(max(60 - passed_s, 0.001))
    assert sent["sent"] == 5e8 + passed_s
    assert attempt.give_up == NOW + 60 + LATE_ANSWER_S
    assert attempts.send_by == NOW + 60


def test_what_is_answered_at_once_is_given_up_at_its_deadline() -> None:
    assert begun(Status(id=0), timeout_s=2).prepare(NOW, 5e8).give_up == NOW + 2


@pytest.mark.parametrize(
    ("request_", "give_up"),
    [(Ping(id=0), NOW + PROMPT_ANSWER_S), (List(id=0), None), (Generate(id=0), None)],
    ids=str,
)
def test_only_what_needs_no_thought_is_given_up_without_a_timeout(
    request_: Request, give_up: float | None
) -> None:
    attempts = begun(request_)
    assert attempts.prepare(NOW, 5e8).give_up == give_up
    assert attempts.send_by is None


def test_after_a_lost_connection_only_what_changes_nothing_is_sent_again() -> None:
    again = {
        op
        for op, request in REQUEST_TYPES.items()
        if begun(msgspec.convert(_least(op), request)).may_repeat_after(lost(Path("/d.sock")), NOW)
    }
    assert again == {"ping", "status", "list", "config_get"}
    assert not begun(Select(id=0, model=None)).may_repeat_after(closed(), NOW)


def _least(op: str) -> dict[str, object]:
    """Return the least that a request of *op* needs."""
    needed: dict[str, dict[str, object]] = {
        **{op: {"model": "m"} for op in ("select", "load", "unload", "download")},
        "embed": {"input": "x"},
        "config_set": {"key": "k", "value": 1},
    }
    return {"op": op, "id": 0} | needed.get(op, {})


@pytest.mark.parametrize("request_", [Generate(id=0), Select(id=0, model="m"), Status(id=0)])
def test_what_a_draining_daemon_refused_is_sent_again(request_: Request) -> None:
    attempts = begun(request_)
    attempts.take(QUEUED)
    assert attempts.may_repeat_after(REFUSED, NOW)
    assert not attempts.may_repeat_after(Cancelled("by somebody"), NOW)


def test_what_a_draining_daemon_refused_and_then_left_unanswered_is_sent_again() -> None:
    attempts, draining, another = begun(Generate(id=0)), object(), object()
    assert attempts.may_repeat_after(REFUSED, NOW, draining)
    assert attempts.may_repeat_after(lost(Path("/d.sock")), NOW, draining)
    assert not attempts.may_repeat_after(lost(Path("/d.sock")), NOW, another)


@pytest.mark.parametrize("part", [CHUNK, EVENT], ids=["chunk", "event"])
def test_what_has_begun_is_not_sent_again(part: Chunk | Event) -> None:
    attempts = begun(Generate(id=0))
    attempts.take(part)
    attempts.take(QUEUED)
    assert not attempts.may_repeat_after(REFUSED, NOW)


@pytest.mark.parametrize("request_", [Cancel(id=0, target=1), Shutdown(id=0)])
def test_what_is_meant_for_one_daemon_is_not_sent_to_the_next(request_: Request) -> None:
    assert not begun(request_).may_repeat_after(REFUSED, NOW)


@pytest.mark.parametrize("timeout_s", [None, 3.0])
def test_it_is_sent_again_within_its_time(timeout_s: float | None) -> None:
    attempts = begun(ConfigGet(id=0), timeout_s)
    attempts.prepare(NOW, 5e8)
    assert attempts.may_repeat_after(REFUSED, NOW + 1)
    limit = NOW + 1 + SEND_AGAIN_S if timeout_s is None else NOW + timeout_s
    assert attempts.has_time(NOW + 1)
    assert attempts.send_by == limit
    attempts.prepare(NOW + 1, 5e8)
    assert attempts.may_repeat_after(REFUSED, NOW + 1.5)
    assert attempts.has_time(limit - RETRY_PAUSE_S - 0.001)
    attempts.prepare(limit - 0.1, 5e8)
    assert not attempts.has_time(limit)


def test_what_was_waited_for_long_has_as_much_time_again() -> None:
    attempts = begun(List(id=0, since=3))
    attempts.prepare(NOW, 5e8)
    assert attempts.may_repeat_after(REFUSED, NOW + 1)
    attempts.prepare(NOW + 2, 5e8)
    assert attempts.may_repeat_after(REFUSED, NOW + 3600)
    assert attempts.send_by == NOW + 3600 + SEND_AGAIN_S
    assert attempts.has_time(NOW + 3601)
    assert not attempts.has_time(NOW + 3600 + SEND_AGAIN_S)  # though nothing was sent since


@pytest.mark.parametrize(
    ("reason", "told"),
    [(REFUSED, "has shut down"), (lost(Path("/d.sock")), "went away")],
    ids=["shut down", "went away"],
)
def test_a_daemon_that_nobody_follows_is_told_of(reason: DevsynthError, told: str) -> None:
    attempts, heard = begun(List(id=0)), list[tuple[DevsynthError, float]]()
    attempts.prepare(NOW, 5e8)
    assert attempts.may_repeat_after(reason, NOW + 1)
    attempts.tell_wait(lambda *args: heard.append(args), NOW + 4)
    error = attempts.error_after(ABSENT, NOW + 11)
    assert heard == [(reason, 3.0)]
    assert isinstance(error, DaemonUnreachable)
    assert str(error) == f"the daemon {told}, and none came back within 10 s: {ABSENT}"
    assert error.hint == ABSENT.hint
    assert attempts.error_after(REFUSED, NOW + 11) is REFUSED


def test_only_a_shutdown_is_raised_by_who_does_not_wait() -> None:
    raise_shutdown(lost(Path("/d.sock")), 0.0)
    with pytest.raises(ShuttingDown):
        raise_shutdown(REFUSED, 0.0)


def test_a_subscription_is_sent_again_at_a_calmer_pace() -> None:
    assert begun(Subscribe(id=0)).pause_s == CALM_PAUSE_S
    assert begun(List(id=0)).pause_s == RETRY_PAUSE_S


def test_progress_is_asked_for_where_there_is_any() -> None:
    load = with_progress(Load(id=0, model="m"), is_wanted=True)
    assert isinstance(load, Load)
    assert load.progress
    assert with_progress(Ping(id=0), is_wanted=True) == Ping(id=0)


@given(st.none() | st.floats(0, 9), st.none() | st.floats(0, 9))
def test_the_earlier_of_two_times_knows_never(one: float | None, other: float | None) -> None:
    never = float("inf")
    expected = min(never if one is None else one, never if other is None else other)
    found = earlier(one, other)
    assert (never if found is None else found) == expected
