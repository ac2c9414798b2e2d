"""Which generation of LM Studio is there, and what when that changes."""

import pytest

from devsynthd.wire.errors import ErrorCode
from tests.lmstudio import LMStudio, errors, faults, paths
from tests.lmstudio.asking import NOMIC, QWEN
from tests.lmstudio.paths import Generation
from tests.lmstudio.script import Fault
from tests.support.upstream_replies import raw, status
from tests.upstream.asker import StillClock, asked, lmstudio

GREET = f"GET {paths.GREETING}"
V1, V0, OPENAI = (f"GET {path}" for path in (paths.MODELS_V1, paths.MODELS_V0, paths.MODELS))


@pytest.mark.parametrize(
    ("generation", "api", "loaded", "questions"),
    [
        ("v1", "lmstudio-v1", {QWEN: True, NOMIC: False}, [GREET, V1]),
        ("v0", "lmstudio-v0", {QWEN: True, NOMIC: False}, [GREET, V1, V0]),
        ("openai", "openai", {QWEN: None, NOMIC: None}, [GREET, V1, V0, OPENAI]),
    ],
)
def test_each_generation_is_recognised_newest_first_and_by_get_only(
    generation: Generation, api: str, loaded: dict[str, bool | None], questions: list[str]
) -> None:
    """F1, R1: unknown paths answer 200 with an error. R12: looking loads nothing."""
    with LMStudio(generation, [QWEN, NOMIC]) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        listing = asker.poll()

        assert listing.api == api
        assert {model.id: model.loaded for model in listing.models} == loaded
        assert asked(studio) == questions
        assert len(studio.world.instances) == 1


@pytest.mark.parametrize(("generation", "question"), [("v1", V1), ("v0", V0), ("openai", OPENAI)])
def test_a_poll_is_one_request_once_the_generation_is_known(
    generation: Generation, question: str
) -> None:
    """F29, R3: each unknown path writes a line into LM Studio's log."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        asker.poll()
        before = len(studio.requests())
        for _ in range(3):
            asker.poll()

        assert asked(studio, since=before) == [question] * 3


def test_a_downgrade_is_noticed_when_the_route_is_gone() -> None:
    """F1, F29: what was remembered is not asked for ever."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        assert asker.poll().api == "lmstudio-v1"
        studio.upgrade("v0")
        before = len(studio.requests())

        assert asker.poll().api == "lmstudio-v0"
        assert asked(studio, since=before) == [V1, GREET, V1, V0]
        assert asker.upstream.manager is None


def test_a_route_that_is_missing_once_is_found_again() -> None:
    """F1: a version was seen that denied its own list now and then."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        asker.poll()
        studio.next_fault(faults.unexpected_endpoint(), path=paths.MODELS_V1)

        assert asker.poll().api == "lmstudio-v1"


def test_an_upgrade_is_noticed_after_the_connection_was_lost() -> None:
    """F30: nobody there is an error of its own, and the end of what was known."""
    with LMStudio("v0") as studio, lmstudio(studio.url) as asker:
        assert asker.poll().api == "lmstudio-v0"
        studio.stop()
        error = asker.no_list()
        assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)
        assert error.hint is not None
        assert "lms server start" in error.hint
        studio.upgrade("v1")

        assert asker.poll().api == "lmstudio-v1"
        assert asker.upstream.manager is not None


def test_an_upgrade_that_nobody_saw_is_noticed_within_ten_minutes() -> None:
    clock = StillClock()
    with LMStudio("v0") as studio, lmstudio(studio.url, clock=clock) as asker:
        asker.poll()
        studio.upgrade("v1")  # it serves the older route too
        clock.now_s += 599
        assert asker.poll().api == "lmstudio-v0"
        clock.now_s += 1
        assert asker.poll().api == "lmstudio-v1"


def test_the_newest_generation_is_never_looked_for_again() -> None:
    """F29: it is asked for its list and nothing else."""
    clock = StillClock()
    with LMStudio("v1") as studio, lmstudio(studio.url, clock=clock) as asker:
        studio.load(QWEN)
        asker.poll()
        before = len(studio.requests())
        clock.now_s += 10_000
        asker.poll()

        assert asked(studio, since=before) == [V1]


@pytest.mark.parametrize(
    "greeting",
    [
        faults.not_json(),
        faults.unexpected_endpoint(),
        faults.instead(status(200, {"lmstudio": "yes"})),
        faults.instead(status(404, {"lmstudio": True})),
    ],
    ids=["a page", "unexpected", "not true", "not 200"],
)
def test_who_does_not_greet_is_asked_for_the_one_list_that_all_have(greeting: Fault) -> None:
    """F1: the body tells, with the status."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(greeting, path=paths.GREETING)

        assert asker.poll().api == "openai"
        assert asked(studio) == [GREET, OPENAI]


def test_who_is_too_busy_to_greet_is_recognised_all_the_same() -> None:
    """R8: the greeting has a second, and its silence is no answer."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.no_answer(), path=paths.GREETING)

        assert asker.poll().api == "lmstudio-v1"


def test_who_does_not_speak_http_is_no_server() -> None:
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.instead(raw(b"SSH-2.0-OpenSSH_9.7\r\n")), path=paths.GREETING)
        assert asker.no_list().code is ErrorCode.UPSTREAM_ERROR

        assert asker.poll().api == "lmstudio-v1"


@pytest.mark.parametrize("status_code", [500, 503])
def test_a_server_that_stumbles_keeps_its_generation(status_code: int) -> None:
    """F30: reachable but degraded is an error, and no reason to think of an older version."""
    broken = faults.refuse(errors.native("internal_error", "boom", status=status_code))
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        asker.poll()
        studio.next_fault(broken, path=paths.MODELS_V1)
        before = len(studio.requests())
        error = asker.no_list()

        assert (error.code, error.details["message"]) == (ErrorCode.UPSTREAM_ERROR, "boom")
        assert asker.upstream.manager is not None
        assert asker.poll().api == "lmstudio-v1"
        assert asked(studio, since=before) == [V1, V1]


def test_a_server_that_stumbles_at_first_is_asked_anew() -> None:
    """F30: what it is stays unknown, and no older route is tried."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        studio.next_fault(faults.native_error("internal_error", "boom", 500), path=paths.MODELS_V1)
        assert asker.no_list().code is ErrorCode.UPSTREAM_ERROR
        assert asked(studio) == [GREET, V1]

        assert asker.poll().api == "lmstudio-v1"
        assert asked(studio) == [GREET, V1] * 2
