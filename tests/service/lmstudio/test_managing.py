"""``load``: explicit only, never twice, and nothing that goes wrong with it ends the daemon."""

from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import (
    BadRequest,
    ModelLoadFailed,
    ModelNotFound,
    UpstreamUnavailable,
)
from devsynthd.wire.replies import Progress
from tests.lmstudio import LMStudio, faults, lists, paths
from tests.service.lmstudio.asking import (
    GEMMA,
    LIMIT_S,
    OFTEN_S,
    QWEN,
    model_in,
    paths_asked,
    refreshed,
    wait_status,
)
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import status


def result(reply: dict[str, Any]) -> dict[str, Any]:
    assert reply["type"] == "result", reply
    value: dict[str, Any] = reply["result"]
    return value


def loads(studio: LMStudio) -> list[dict[str, Any]]:
    """Return what the loads so far asked for, in order."""
    return [exchange.body for exchange in studio.requests(path=paths.LOAD)]


def assert_lives_on(client: Client, studio: LMStudio) -> None:
    """Check that the daemon still does what failed before, and all the rest."""
    assert client.load(GEMMA).instance_id == GEMMA
    assert client.generate("x").model == GEMMA
    assert GEMMA in {body["model"] for body in loads(studio)}


def test_list_comes_before_the_load_and_after_it(client: Client, studio: LMStudio) -> None:
    """F6, R12: every load makes another instance, so the list is looked at first."""
    before = len(studio.requests())
    generation = client.list().generation

    outcome = client.load(QWEN)

    assert (outcome.model, outcome.instance_id) == (QWEN, QWEN)
    asked = paths_asked(studio, after=before)
    assert asked == [paths.MODELS_V1, paths.LOAD, paths.MODELS_V1]
    assert loads(studio) == [{"model": QWEN, "echo_load_config": True}]
    listed = client.list()
    assert listed.generation > generation
    assert model_in(listed, QWEN).loaded
    assert listed.selection.model == QWEN


def test_progress_is_told_while_it_loads(
    client: Client, daemon: RunningDaemon, studio: LMStudio
) -> None:
    gate = studio.hold_loads()
    told: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        told.append(progress)
        (request,) = daemon.client().status().requests[:1]
        assert (request.op, request.state, request.model) == ("load", "loading", QWEN)
        gate.step()

    client.load(QWEN, on_progress=on_progress)

    assert [(each.state, each.fraction) for each in told] == [("loading", None)]


def test_two_loads_at_once_are_one(daemon: RunningDaemon, studio: LMStudio) -> None:
    """F6, R12: whoever comes second finds what the first has loaded."""
    gate = studio.hold_loads()
    dealers = [daemon.dealer(), daemon.dealer()]
    for dealer in dealers:
        dealer.send(op="load", id=1, model=QWEN)
    studio.wait_request(path=paths.LOAD)
    wait_status(daemon, lambda report: len(report.requests) == 2)

    gate.step()

    outcomes = [result(dealer.receive()) for dealer in dealers]
    assert [outcome["instance_id"] for outcome in outcomes] == [QWEN, QWEN]
    assert min(outcome["load_time_s"] for outcome in outcomes) == 0
    assert len(loads(studio)) == 1


def test_load_of_another_model_need_not_wait(daemon: RunningDaemon, studio: LMStudio) -> None:
    gate = studio.hold_loads()
    for model in (QWEN, GEMMA):
        daemon.dealer().send(op="load", id=1, model=model)

    studio.wait_request(2, path=paths.LOAD)

    gate.step(2)


@pytest.mark.parametrize("length", [None, 4096])
def test_loaded_model_is_not_loaded_again(
    client: Client, studio: LMStudio, length: int | None
) -> None:
    """F6, R12: the instance that is there will do, at the same or at no given length."""
    studio.load(QWEN, context_length=4096)

    outcome = client.load(QWEN, context_length=length)

    assert (outcome.instance_id, outcome.load_time_s) == (QWEN, 0)
    assert loads(studio) == []


def test_loaded_model_with_another_context_is_refused(client: Client, studio: LMStudio) -> None:
    """F6: a second instance with other settings is what nobody wants."""
    studio.load(QWEN, context_length=4096)

    with pytest.raises(BadRequest) as caught:
        client.load(QWEN, context_length=8192)

    assert "4096" in str(caught.value)
    assert "8192" in str(caught.value)
    assert "unload" in (caught.value.hint or "")
    assert loads(studio) == []


@pytest.mark.parametrize(("cap", "got"), [(None, 16384), (4864, 4864)])
def test_context_is_read_back(client: Client, studio: LMStudio, cap: int | None, got: int) -> None:
    """F32: what the list tells of the context is what was loaded, not what was asked for."""
    studio.settings.context_cap = cap

    client.load(QWEN, context_length=16384)

    assert loads(studio)[0]["context_length"] == 16384
    model = model_in(client.list(), QWEN)
    assert model.context_length == got
    assert [instance.context_length for instance in model.instances] == [got]


def test_list_that_was_asked_for_before_the_end_of_the_load_does_not_count(
    daemon: RunningDaemon, studio: LMStudio
) -> None:
    """F28, R12: who has loaded a model finds it in the list."""
    load_gate, list_gate = studio.hold_loads(), Gate()
    loader, lister = daemon.dealer(), daemon.dealer()
    loader.send(op="load", id=1, model=QWEN)
    load = studio.wait_request(path=paths.LOAD)
    before = status(200, lists.v1_list(studio.world, studio.quirks))
    studio.next_fault(lambda _: faults.slow_first_byte(list_gate)(before), path=paths.MODELS_V1)
    polls = len(studio.requests(path=paths.MODELS_V1))
    lister.send(op="list", id=1, refresh=True)
    studio.wait_request(polls + 1, path=paths.MODELS_V1)

    load_gate.step()
    assert load.ended.wait(LIMIT_S)
    list_gate.step()

    result(loader.receive())
    assert model_in(daemon.client().list(), QWEN).loaded


def test_load_goes_on_without_its_client(daemon: RunningDaemon, studio: LMStudio) -> None:
    """F6: what was begun is finished, so that a second try finds it."""
    gate = studio.hold_loads()
    impatient = daemon.dealer()
    impatient.send(op="load", id=1, model=QWEN)
    load = studio.wait_request(path=paths.LOAD)
    impatient.close()
    wait_status(daemon, lambda report: report.requests == ())
    patient = daemon.dealer()
    patient.send(op="load", id=1, model=QWEN)
    wait_status(daemon, lambda report: len(report.requests) == 1)

    gate.step()

    outcome = result(patient.receive())
    assert (outcome["instance_id"], outcome["load_time_s"]) == (QWEN, 0)
    assert load.disconnected_at is None
    assert len(loads(studio)) == 1


def test_load_that_fails_is_told_in_the_words_of_lm_studio(
    client: Client, studio: LMStudio
) -> None:
    """F5: no second try, and the daemon lives on."""
    studio.next_load_fails()

    with pytest.raises(ModelLoadFailed) as caught:
        client.load(QWEN)

    assert "insufficient system resources" in str(caught.value)
    assert QWEN in str(caught.value)
    assert caught.value.hint
    assert not caught.value.retryable
    assert len(loads(studio)) == 1
    assert_lives_on(client, studio)


def test_load_that_fails_when_its_client_has_left(daemon: RunningDaemon, studio: LMStudio) -> None:
    """F5: with nobody there to be told, the daemon lives on all the same."""
    gate = studio.hold_loads()
    studio.next_load_fails()
    impatient = daemon.dealer()
    impatient.send(op="load", id=1, model=QWEN)
    load = studio.wait_request(path=paths.LOAD)
    impatient.close()
    wait_status(daemon, lambda report: report.requests == ())

    gate.step()

    assert load.ended.wait(LIMIT_S)
    studio.script.load_gate = None
    assert_lives_on(daemon.client(), studio)


def test_lm_studio_is_off(client: Client, studio: LMStudio) -> None:
    """F30."""
    studio.stop()
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable) as caught:
            client.load(QWEN)
        assert studio.url in str(caught.value)
        with pytest.raises(UpstreamUnavailable):
            client.unload(QWEN)
        with pytest.raises(UpstreamUnavailable):
            client.download(QWEN)

    studio.start()
    assert_lives_on(client, studio)


def test_lm_studio_goes_away_in_the_middle_of_a_load(
    daemon: RunningDaemon, studio: LMStudio
) -> None:
    """F30."""
    studio.hold_loads()
    dealer = daemon.dealer()
    dealer.send(op="load", id=1, model=QWEN)
    studio.wait_request(path=paths.LOAD)

    studio.quit()

    reply = dealer.receive()
    assert (reply["type"], reply["error"]["code"]) == ("error", "upstream_unavailable")
    studio.script.load_gate = None
    studio.start()
    assert_lives_on(daemon.client(), studio)


def test_unknown_model_is_told_with_its_likes(client: Client, studio: LMStudio) -> None:
    for ask in (client.load, client.unload):
        with pytest.raises(ModelNotFound) as caught:
            ask("qwen/qwen3-40b")
        assert caught.value.details["near"] == [QWEN]
        assert "devsynthctl models" in (caught.value.hint or "")
    assert loads(studio) == []
    assert studio.requests(path=paths.UNLOAD) == []


def test_nothing_is_loaded_unasked(short_dir: Path, studio: LMStudio) -> None:
    """F4, R12: polls, lists, selections and generations never send a load."""
    studio.settings.jit = False
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=OFTEN_S
    ) as daemon:
        client = daemon.client()
        refreshed(client)
        client.select(QWEN, persist=False)
        for model in (None, QWEN, GEMMA):
            with pytest.raises(Exception, match="no model is loaded"):
                client.generate("x", model=model)
        studio.settings.jit = True
        assert client.generate("x", model=GEMMA).model == GEMMA
        studio.wait_request(len(studio.requests()) + 5)

    assert {exchange.path for exchange in studio.requests(method="POST")} == {paths.CHAT}
