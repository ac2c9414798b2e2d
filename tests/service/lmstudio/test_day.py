"""One day of somebody who works with LM Studio: at each hour list, select and generate answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthd.wire.errors import (
    Incomplete,
    ModelNotFound,
    NoModel,
    UpstreamAuth,
    UpstreamUnavailable,
)
from devsynthd.wire.results import Models
from tests.lmstudio import LMStudio, paths
from tests.lmstudio.world import Settings
from tests.service.lmstudio.asking import (
    GEMMA,
    OFTEN_S,
    QWEN,
    asked_models,
    codes,
    ids,
    model_in,
    paths_asked,
    refreshed,
    wait_list,
)
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate

TOKEN = "sk-lm-abcd1234:0123456789abcdefghij"  # noqa: S105 - of the simulator


class Desk:
    """Who works there: an editor that asks, and a window that watches the list."""

    def __init__(self, studio: LMStudio, daemon: RunningDaemon) -> None:
        self.studio = studio
        self.editor, self._window = daemon.client(), daemon.client()
        self._generation = 0

    def sees(self, holds: Callable[[Models], bool]) -> Models:
        """Return the list that ``since`` wakes up with once *holds* is true of it."""
        listed = wait_list(self._window, self._generation, holds)
        self._generation = listed.generation
        return listed

    def looks(self) -> Models:
        """Return the list, asked for after this was called."""
        refreshed(self._window)  # may share the answer to a question of some moments ago
        listed = refreshed(self._window)
        assert listed.generation >= self._generation
        self._generation = listed.generation
        return listed


def test_day(short_dir: Path) -> None:
    """F3, F10, F13, F15, F21, F28, F30, R3: the daemon follows whatever LM Studio does."""
    studio = LMStudio("v0", [QWEN, GEMMA], settings=Settings(jit=False))
    studio.start()  # for its port
    studio.stop()
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=OFTEN_S
    ) as daemon:
        desk = Desk(studio, daemon)
        try:
            lm_studio_is_off(desk)
            it_is_started_without_a_model(desk)
            a_model_is_loaded(desk)
            a_second_model_is_loaded(desk)
            the_first_is_evicted_in_the_middle_of_an_answer(desk)
            the_app_comes_back_as_a_newer_version(desk)
            authentication_is_switched_on(desk)
            authentication_is_switched_off(desk)
            the_app_goes_away(desk)
        finally:
            studio.stop()
    assert studio.requests(path=paths.LOAD) == []


def lm_studio_is_off(desk: Desk) -> None:
    listed = desk.looks()
    assert ids(listed) == ["local_model"]
    assert codes(listed) == ["fallback"]
    assert (listed.source.reachable, listed.source.stale, listed.source.api) == (False, True, None)
    assert (listed.selection.model, listed.selection.available) == ("local_model", False)
    with pytest.raises(UpstreamUnavailable):
        desk.editor.select(QWEN, persist=False)
    with pytest.raises(UpstreamUnavailable) as caught:
        desk.editor.generate("Good morning")
    assert desk.studio.url in str(caught.value)


def it_is_started_without_a_model(desk: Desk) -> None:
    desk.studio.start()
    listed = desk.looks()
    assert ids(listed) == []
    assert codes(listed) == []
    assert (listed.source.reachable, listed.source.stale) == (True, False)
    assert listed.source.api == "lmstudio-v0"
    assert (listed.selection.model, listed.selection.how) == (None, "none")
    with pytest.raises(ModelNotFound):
        desk.editor.select(QWEN, persist=False)
    with pytest.raises(NoModel):
        desk.editor.generate("Anybody there?")
    assert asked_models(desk.studio) == []


def a_model_is_loaded(desk: Desk) -> None:
    desk.studio.load(QWEN)
    listed = desk.sees(lambda listed: ids(listed) == [QWEN])
    model = model_in(listed, QWEN)
    assert (model.loaded, model.context_length, model.selected) == (True, 4096, True)
    assert (listed.selection.model, listed.selection.how) == (QWEN, "auto")
    answer = desk.editor.generate("Hello?")
    assert (answer.model, answer.text, codes(answer)) == (QWEN, "Hello world", [])


def a_second_model_is_loaded(desk: Desk) -> None:
    desk.studio.load(GEMMA)
    listed = desk.sees(lambda listed: ids(listed) == [QWEN, GEMMA])
    assert listed.selection.model == QWEN
    assert desk.editor.generate("Still you?").model == QWEN
    selected = desk.editor.select(GEMMA, persist=False)
    assert (selected.selection.model, selected.selection.how) == (GEMMA, "selected")
    assert model_in(desk.sees(lambda _: True), GEMMA).selected
    assert desk.editor.generate("And you?").model == GEMMA
    assert desk.editor.select(None, persist=False).selection.model == QWEN
    assert desk.sees(lambda _: True).selection.how == "auto"


def the_first_is_evicted_in_the_middle_of_an_answer(desk: Desk) -> None:
    gate = Gate()
    desk.studio.says("Once", " upon", " a time", gate=gate)
    answer = desk.editor.stream("Tell me a story")
    for text in ("Once", " upon"):
        gate.step()
        assert next(answer).text == text

    desk.studio.evict(QWEN)

    with pytest.raises(Incomplete) as caught:
        next(answer)
    assert caught.value.details["text"] == "Once upon"
    assert caught.value.retryable
    listed = desk.sees(lambda listed: ids(listed) == [GEMMA])
    assert listed.selection.model == GEMMA
    assert desk.editor.generate("Who is left?").model == GEMMA
    with pytest.raises(ModelNotFound):
        desk.editor.generate("Come back", model=QWEN)


def the_app_comes_back_as_a_newer_version(desk: Desk) -> None:
    desk.studio.quit()
    gone = desk.sees(lambda listed: not listed.source.reachable)
    assert ids(gone) == [GEMMA]
    assert codes(gone) == ["stale"]
    assert desk.editor.select(GEMMA, persist=False).selection.available is False

    desk.studio.settings.jit = True
    desk.studio.upgrade("v1")
    answer = desk.editor.generate("Back again?", wait=5)
    assert (answer.model, codes(answer)) == (GEMMA, [])  # loaded on demand

    listed = desk.sees(lambda listed: is_loaded(listed, GEMMA))
    assert listed.source.api == "lmstudio-v1"
    assert ids(listed) == [QWEN, GEMMA]
    assert model_in(listed, QWEN).loaded is False
    assert (listed.selection.model, listed.selection.available) == (GEMMA, True)


def authentication_is_switched_on(desk: Desk) -> None:
    before = len(desk.studio.requests())
    desk.studio.require_token(TOKEN)
    listed = desk.looks()
    assert ids(listed) == [QWEN, GEMMA]
    assert codes(listed) == ["stale"]
    assert (listed.source.reachable, listed.source.stale) == (True, True)
    assert listed.source.error is not None
    assert listed.source.error.code == "upstream_auth"
    assert listed.source.api == "lmstudio-v1"
    assert desk.editor.select(QWEN, persist=False).selection.model == QWEN
    with pytest.raises(UpstreamAuth) as caught:
        desk.editor.generate("Me again")
    assert "llm_api_key" in (caught.value.hint or "")
    assert set(paths_asked(desk.studio, after=before)) == {paths.MODELS_V1, paths.CHAT}


def authentication_is_switched_off(desk: Desk) -> None:
    desk.studio.require_token(None)
    listed = desk.looks()
    assert (listed.source.stale, listed.source.error, codes(listed)) == (False, None, [])
    assert desk.editor.select(None, persist=False).selection.model == GEMMA
    assert desk.editor.generate("And now?").model == GEMMA
    desk.looks()


def the_app_goes_away(desk: Desk) -> None:
    desk.studio.quit()
    listed = desk.sees(lambda listed: not listed.source.reachable)
    assert ids(listed) == [QWEN, GEMMA]
    assert codes(listed) == ["stale"]
    assert (listed.selection.model, listed.selection.available) == (GEMMA, False)
    assert desk.editor.select(QWEN, persist=False).selection.available is False
    with pytest.raises(UpstreamUnavailable) as caught:
        desk.editor.generate("Good night")
    assert desk.studio.url in str(caught.value)


def is_loaded(listed: Models, model_id: str) -> bool:
    return any(model.id == model_id and model.loaded for model in listed.models)
