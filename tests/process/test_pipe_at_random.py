"""Whatever comes on stdin: a pipe does not end, and each line gets one last reply."""

import itertools
import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.process.piped import piped
from tests.support.daemon import DaemonProcess

IDS = st.sampled_from([1, 2, 3, "a", "b", "c"])

REQUESTS = st.one_of(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["ping", "list", "status", "pong", "config_get"])}
    ),
    st.fixed_dictionaries(
        {"op": st.just("generate"), "prompt": st.text(max_size=5), "stream": st.booleans()},
        optional={"timeout": st.sampled_from([0.0001, 60]), "progress": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"op": st.just("subscribe"), "topics": st.just(["models", "requests"])},
        optional={"timeout": st.just(0.05)},
    ),
    st.fixed_dictionaries({"op": st.just("cancel"), "target": IDS}),
    st.fixed_dictionaries({"op": st.just("embed"), "input": st.text(max_size=2)}),
)
LINES = st.lists(
    st.one_of(
        st.builds(lambda request, given_id: {"id": given_id, **request}, REQUESTS, IDS),
        st.sampled_from(["[]", "{}", '{"id": {}}', "x", '{"id": 1, "op": "ping"} 2', "\x00"]),
    ),
    min_size=1,
    max_size=40,
)


def nobodys(reply: dict[str, Any]) -> object:
    """Return whose the error was that the pipe told without an id; null if that is not known."""
    return reply["error"]["details"].get("id")


def test_each_line_gets_one_last_reply(daemon: DaemonProcess) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(LINES, st.integers(1, 4))
    def holds(lines: list[Any], in_flight: int) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        ids = [None if isinstance(line, str) else line["id"] for line in lines]

        outcome = daemon.ctl("pipe", "--in-flight", str(in_flight), stdin="\n".join(texts))

        assert (outcome.returncode, outcome.stderr) == (0, "")
        replies = [json.loads(line) for line in outcome.stdout.splitlines()]
        last = [reply for reply in replies if reply["type"] in ("result", "error")]
        ended = [nobodys(reply) if reply["id"] is None else reply["id"] for reply in last]
        assert Counter(ended) == Counter(ids)

    holds()


def test_random_bytes_do_not_end_it(daemon: DaemonProcess) -> None:
    numbers = itertools.count()
    with piped(daemon.environ) as pipe:

        @settings(max_examples=200, deadline=None)
        @given(st.lists(st.binary(max_size=100), max_size=5))
        def holds(lines: list[bytes]) -> None:
            pipe.write_bytes(b"\n".join([*lines, b""]))
            ping = f"ping {next(numbers)}"
            pipe.send("ping", ping)
            assert pipe.result(ping)

        holds()
        pipe.end()
