"""Some builds of 0.4 list no instance although a model is loaded, and their older list does."""

from collections.abc import Iterator

import pytest

from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.wire.objects import Instance
from tests.lmstudio import LMStudio, faults, paths
from tests.lmstudio.asking import GEMMA, NOMIC, QWEN
from tests.lmstudio.script import Fault
from tests.upstream.asker import Asker, StillClock, asked, lmstudio

V1, V0 = f"GET {paths.MODELS_V1}", f"GET {paths.MODELS_V0}"


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1", [GEMMA, QWEN, NOMIC]) as studio:
        studio.quirks.hides_loaded_instances = True
        yield studio


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def asker(studio: LMStudio, clock: StillClock) -> Iterator[Asker[LMStudioUpstream]]:
    with lmstudio(studio.url, clock=clock) as asker:
        yield asker


def test_what_the_older_list_has_loaded_is_taken_over(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F22: all else is from the newer list."""
    studio.load(QWEN, context_length=8192)
    studio.load(QWEN, context_length=4096)
    models = asker.models()

    assert {name: model.loaded for name, model in models.items()} == {
        GEMMA: False,
        QWEN: True,
        NOMIC: False,
    }
    assert models[QWEN].instances == (Instance(QWEN, 8192), Instance(f"{QWEN}:2", 4096))
    assert models[QWEN].context_length == 4096
    assert models[QWEN].name == "Qwen3 4B"


def test_the_older_list_is_asked_for_once_a_minute_at_most(
    studio: LMStudio, asker: Asker[LMStudioUpstream], clock: StillClock
) -> None:
    """F22, F29: what it said stands in between."""
    studio.load(QWEN)
    asker.poll()
    before = len(studio.requests())
    for _ in range(5):
        clock.now_s += 11.9
        assert asker.loaded()[QWEN] is True
    assert asked(studio, since=before) == [V1] * 5

    clock.now_s += 0.5
    studio.evict(QWEN)
    assert asker.loaded()[QWEN] is False
    assert asked(studio, since=before) == [*[V1] * 6, V0]


def test_the_disagreement_is_logged_once(
    studio: LMStudio,
    asker: Asker[LMStudioUpstream],
    clock: StillClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F22."""
    studio.load(QWEN)
    for _ in range(5):
        asker.poll()
        clock.now_s += 60

    told = [record for record in caplog.records if "v0 does" in record.message]
    assert [record.levelname for record in told] == ["WARNING"]
    assert studio.url in told[0].message


def test_it_is_not_asked_while_the_newer_list_has_something_loaded(
    studio: LMStudio, asker: Asker[LMStudioUpstream], clock: StillClock
) -> None:
    """F22, F29."""
    studio.quirks.hides_loaded_instances = False
    studio.load(QWEN)
    for _ in range(3):
        asker.poll()
        clock.now_s += 60

    assert V0 not in asked(studio)


def test_the_newer_list_is_believed_again_when_it_tells(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F22: nothing of what the older one said is left."""
    studio.load(QWEN)
    asker.poll()
    studio.evict(QWEN)
    studio.load(GEMMA)
    studio.quirks.hides_loaded_instances = False

    assert asker.loaded() == {GEMMA: True, QWEN: False, NOMIC: False}


def test_nothing_loaded_at_all_is_believed(
    asker: Asker[LMStudioUpstream], caplog: pytest.LogCaptureFixture
) -> None:
    """F22: both lists agree, and nothing is to be told."""
    assert set(asker.loaded().values()) == {False}
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_without_models_there_is_nothing_to_check() -> None:
    """F29."""
    with LMStudio("v1", []) as studio, lmstudio(studio.url) as asker:
        asker.poll()

        assert V0 not in asked(studio)


@pytest.mark.parametrize(
    "fault",
    [
        faults.unexpected_endpoint(),
        faults.native_error("internal_error", "boom", 500),
        faults.unauthorized(),
        faults.not_json(),
        faults.no_answer(),
    ],
    ids=["gone", "broken", "refused", "a page", "silent"],
)
def test_a_check_that_fails_costs_nothing(
    studio: LMStudio, asker: Asker[LMStudioUpstream], fault: Fault
) -> None:
    """F22: the list is there, whatever the older one does."""
    studio.load(QWEN)
    studio.next_fault(fault, path=paths.MODELS_V0)

    assert list(asker.models()) == [GEMMA, QWEN, NOMIC]


def test_a_check_that_fails_changes_nothing(
    studio: LMStudio, asker: Asker[LMStudioUpstream], clock: StillClock
) -> None:
    """F22: what was loaded a minute ago did not go because nobody could tell."""
    studio.load(QWEN)
    asker.poll()
    clock.now_s += 60
    studio.next_fault(faults.plain_error("boom", 500), path=paths.MODELS_V0)

    assert asker.loaded()[QWEN] is True


def test_what_the_older_list_said_ends_with_the_app(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F22, F28: the next one has nothing loaded."""
    studio.load(QWEN)
    assert asker.loaded()[QWEN] is True
    studio.quit()
    asker.no_list()
    studio.start()

    assert asker.loaded()[QWEN] is False
