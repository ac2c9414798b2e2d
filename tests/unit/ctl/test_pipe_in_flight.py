"""Who is in flight, who has room, and what becomes of all when a daemon goes away."""

import json
from typing import Any

import pytest

from devsynthctl.attempts import SEND_AGAIN_S
from devsynthctl.errors import BadReply, ConnectionLost
from devsynthctl.pipe.asked import Asked
from devsynthctl.pipe.flight import Flight
from devsynthctl.pipe.in_flight import MAX_GENERATING_BYTES, MAX_OTHERS, InFlight
from devsynthctl.pipe.told import read_reply
from devsynthd.wire.requests import RequestId

NOW = 1000.0


@pytest.fixture
def in_flight() -> InFlight:
    return InFlight(2)


def asked(op: str, request_id: RequestId = 1, body: bytes = b"{}") -> Asked:
    return Asked(request_id, op, body)


def add(
    in_flight: InFlight,
    op: str,
    request_id: RequestId = 1,
    *,
    deadline: float | None = None,
    body: bytes = b"{}",
    is_ours: bool = False,
) -> Flight:
    flight = Flight(asked(op, request_id, body), body, deadline, is_ours=is_ours, connection=1)
    in_flight.add(flight)
    return flight


def hears(in_flight: InFlight, kind: str, request_id: RequestId = 1, code: str = "") -> bool:
    fields: dict[str, Any] = {"type": kind, "id": request_id}
    if code:
        fields["error"] = {"code": code}
    line = json.dumps(fields).encode()
    return in_flight.hears(read_reply(line), line, NOW)


def code_and_id(line: bytes) -> tuple[str, RequestId]:
    reply = json.loads(line)
    return reply["error"]["code"], reply["id"]


def test_a_request_is_in_flight_until_it_has_ended(in_flight: InFlight) -> None:
    add(in_flight, "ping")
    assert 1 in in_flight
    assert len(in_flight) == 1

    assert hears(in_flight, "result")
    assert 1 in in_flight  # its last line is still to be written
    in_flight.remove(1)

    assert 1 not in in_flight
    assert len(in_flight) == 0


def test_nobody_is_told_of_a_request_that_is_not_in_flight(in_flight: InFlight) -> None:
    assert not hears(in_flight, "result")


def test_nobody_is_told_of_what_the_pipe_asks_itself(in_flight: InFlight) -> None:
    add(in_flight, "cancel", is_ours=True)

    assert not hears(in_flight, "result")
    assert len(in_flight) == 0

    add(in_flight, "cancel", is_ours=True)
    assert in_flight.lose(ConnectionLost("gone"), NOW) == []
    assert len(in_flight) == 0


# Room ------------------------------------------------------------------------------------------


def test_only_generations_and_embeddings_are_counted(in_flight: InFlight) -> None:
    add(in_flight, "generate", 1)
    assert in_flight.has_room_for(asked("embed"))
    add(in_flight, "embed", 2)

    assert not in_flight.has_room_for(asked("generate"))
    assert not in_flight.has_room_for(asked("embed"))
    assert in_flight.has_room_for(asked("cancel"))
    in_flight.remove(1)
    assert in_flight.has_room_for(asked("generate"))


def test_what_waits_for_another_daemon_takes_room(in_flight: InFlight) -> None:
    for number in (1, 2):
        add(in_flight, "generate", number)
        hears(in_flight, "error", number, "shutting_down")

    assert not in_flight.has_room_for(asked("generate"))
    in_flight.cancel_waiting(1)
    assert in_flight.has_room_for(asked("generate"))


def test_the_bytes_of_generations_are_bounded_but_one_always_fits(in_flight: InFlight) -> None:
    huge = asked("generate", 2, bytes(MAX_GENERATING_BYTES))
    assert in_flight.has_room_for(huge)
    add(in_flight, "generate", 1)

    assert not in_flight.has_room_for(huge)
    assert in_flight.has_room_for(asked("generate", 2))


def test_the_others_are_bounded_too(in_flight: InFlight) -> None:
    for number in range(MAX_OTHERS):
        assert in_flight.has_room_for(asked("list"))
        add(in_flight, "list", number)

    assert not in_flight.has_room_for(asked("list"))
    assert in_flight.has_room_for(asked("generate"))


# Another daemon --------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["ping", "list", "generate", "embed", "load", "subscribe", "select"])
def test_a_refusal_before_the_answer_is_not_told(in_flight: InFlight, op: str) -> None:
    flight = add(in_flight, op)
    assert hears(in_flight, "progress")

    assert not hears(in_flight, "error", code="shutting_down")

    assert 1 in in_flight
    assert in_flight.waiting_for_other_than(1) == []  # the same one would refuse it again
    assert in_flight.waiting_for_other_than(0) == [flight]
    assert in_flight.next_expiry() == NOW + SEND_AGAIN_S
    assert in_flight.expire(NOW) == []
    (line,) = in_flight.expire(NOW + SEND_AGAIN_S)
    assert code_and_id(line) == ("shutting_down", 1)
    assert len(in_flight) == 0


@pytest.mark.parametrize(("op", "part"), [("generate", "chunk"), ("subscribe", "event")])
def test_a_refusal_after_a_part_of_the_answer_is_told(
    in_flight: InFlight, op: str, part: str
) -> None:
    add(in_flight, op)
    hears(in_flight, part)

    assert hears(in_flight, "error", code="shutting_down")


@pytest.mark.parametrize("op", ["cancel", "shutdown"])
def test_what_is_meant_for_one_daemon_is_not_sent_to_the_next(in_flight: InFlight, op: str) -> None:
    add(in_flight, op)

    assert hears(in_flight, "error", code="shutting_down")


def test_at_the_end_no_subscription_waits(in_flight: InFlight) -> None:
    for number in (1, 2):
        add(in_flight, "subscribe", number)
    add(in_flight, "generate", 3)
    hears(in_flight, "error", 1, "shutting_down")

    lines, subscriptions = in_flight.finish()

    assert list(map(code_and_id, lines)) == [("shutting_down", 1)]
    assert subscriptions == [2]
    assert hears(in_flight, "error", 2, "shutting_down")
    assert not hears(in_flight, "error", 3, "shutting_down")


def test_a_lost_connection_ends_all_but_what_may_be_asked_twice(in_flight: InFlight) -> None:
    repeatable = ["ping", "status", "list", "config_get"]
    ended = ["generate", "embed", "load", "config_set", "subscribe", "cancel", "shutdown", "x"]
    for op in (*repeatable, *ended):
        add(in_flight, op, op)

    lines = in_flight.lose(ConnectionLost("gone"), NOW)

    assert [code_and_id(line) for line in lines] == [("connection_lost", op) for op in ended]
    assert [flight.id for flight in in_flight.waiting_for_other_than(0)] == repeatable
    assert len(in_flight.expire(NOW + SEND_AGAIN_S)) == len(repeatable)


def test_a_daemon_that_speaks_another_protocol_is_not_asked_twice(in_flight: InFlight) -> None:
    add(in_flight, "ping")

    lines = in_flight.lose(BadReply("what?"), NOW)

    assert list(map(code_and_id, lines)) == [("bad_reply", 1)]


def test_what_was_refused_before_is_not_lost_with_the_connection(in_flight: InFlight) -> None:
    add(in_flight, "generate")
    hears(in_flight, "error", code="shutting_down")

    assert in_flight.lose(ConnectionLost("gone"), NOW) == []
    assert 1 in in_flight


def test_it_waits_to_its_deadline(in_flight: InFlight) -> None:
    add(in_flight, "ping", deadline=NOW + 3)
    in_flight.lose(ConnectionLost("gone"), NOW)

    assert in_flight.next_expiry() == NOW + 3


def test_time_that_was_waited_counts_when_it_is_refused_again(in_flight: InFlight) -> None:
    flight = add(in_flight, "ping")
    in_flight.lose(ConnectionLost("gone"), NOW - 4)
    in_flight.sends_again(flight)
    hears(in_flight, "error", code="shutting_down")
    assert in_flight.next_expiry() == NOW - 4 + SEND_AGAIN_S

    in_flight.sends_again(flight)
    in_flight.lose(ConnectionLost("gone"), NOW + 3600)
    assert in_flight.next_expiry() == NOW + 3600 + SEND_AGAIN_S


def test_what_was_not_sent_again_after_all_waits_on(in_flight: InFlight) -> None:
    flight = add(in_flight, "ping")
    in_flight.lose(ConnectionLost("gone"), NOW)

    in_flight.sends_again(flight)
    assert in_flight.waiting_for_other_than(0) == []
    in_flight.waits_on(flight)

    assert in_flight.waiting_for_other_than(0) == [flight]


def test_what_waits_can_be_cancelled(in_flight: InFlight) -> None:
    add(in_flight, "generate")
    assert not in_flight.cancel_waiting(1)  # the daemon has it
    hears(in_flight, "error", code="shutting_down")

    assert not in_flight.cancel_waiting(None)
    assert in_flight.cancel_waiting(1)

    assert len(in_flight) == 0
