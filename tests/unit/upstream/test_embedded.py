"""What is told of the embedded engine, which is no server with a log of its own."""

import asyncio

import pytest

from devsynthd.upstream.embedded import EmbeddedUpstream, engine_hint
from devsynthd.upstream.engine import Engine
from devsynthd.upstream.failures import CONTEXT_HINT
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.transport_errors import MAY_HAVE_CRASHED, MAY_HAVE_STOPPED, START_IT
from devsynthd.wire.errors import NotSupported


@pytest.mark.parametrize(
    ("of_a_server", "of_the_engine"),
    [
        (CONTEXT_HINT, "embedded_context_length"),
        (f"Some servers do so. {CONTEXT_HINT}", "embedded_context_length"),
        (MAY_HAVE_STOPPED, "the daemon's log says how"),
        (MAY_HAVE_CRASHED, "the daemon's log says how"),
        (START_IT, "the daemon's log says how"),
        ("The server's own log may say more.", "The daemon's log may say more."),
    ],
)
def test_hints_name_what_the_engine_has(of_a_server: str, of_the_engine: str) -> None:
    hint = engine_hint(of_a_server) or ""
    assert of_the_engine in hint
    assert "own log" not in hint
    assert "lms" not in hint


def test_no_hint_stays_none() -> None:
    assert engine_hint(None) is None


def test_vectors_are_made_elsewhere() -> None:
    async def scenario() -> None:
        upstream = EmbeddedUpstream(
            Engine(None, idle_timeout_s=1), "m", timeouts=Timeouts(1, 1, 1), max_threads=1
        )
        await upstream.embed("m", ("hi",), None)  # type: ignore[arg-type]  # it is told nothing

    with pytest.raises(NotSupported) as caught:
        asyncio.run(scenario())

    assert str(caught.value) == "the embedded engine makes no vectors"
    assert "llm_api_base" in str(caught.value.hint)
