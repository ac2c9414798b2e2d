"""How the daemon watches LM Studio: with one question at a time, quietly, never in the way."""

import logging
from pathlib import Path

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import UpstreamUnavailable
from tests.lmstudio import LMStudio, faults, paths
from tests.service.lmstudio.asking import (
    GEMMA,
    LIMIT_S,
    OFTEN_S,
    QWEN,
    answered,
    asked_models,
    codes,
    ids,
    model_in,
    paths_asked,
    refreshed,
)
from tests.support.daemon import RunningDaemon, start_daemon

CYCLES = 20


def test_poll_is_one_request(short_dir: Path, studio: LMStudio) -> None:
    """F29, R3: the generation is found out once; from then on one route is asked."""
    studio.load(QWEN)
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=OFTEN_S):
        studio.wait_request(CYCLES, path=paths.MODELS_V1)

    asked = paths_asked(studio)
    assert asked[0] == paths.GREETING
    assert set(asked[1:]) == {paths.MODELS_V1}


@pytest.mark.parametrize("loaded", [True, False])
def test_second_list_is_asked_once_a_minute_at_most(
    short_dir: Path, studio: LMStudio, caplog: pytest.LogCaptureFixture, *, loaded: bool
) -> None:
    """F22, F29: when the newest list says that nothing is loaded, an older one may know better."""
    studio.quirks.hides_loaded_instances = True
    if loaded:
        studio.load(GEMMA)
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=OFTEN_S
    ) as daemon:
        studio.wait_request(CYCLES, path=paths.MODELS_V1)
        listed = daemon.client().list()

    assert len(studio.requests(path=paths.MODELS_V0)) == 1
    assert model_in(listed, GEMMA).loaded is loaded
    assert model_in(listed, GEMMA).context_length == (4096 if loaded else None)
    assert listed.selection.model == (GEMMA if loaded else QWEN)
    assert len([each for each in caplog.records if "v0" in each.getMessage()]) == int(loaded)


def test_polls_log_nothing(
    short_dir: Path, studio: LMStudio, caplog: pytest.LogCaptureFixture
) -> None:
    """F29: not even for those who want to read everything."""
    caplog.set_level(logging.DEBUG, "devsynthd")
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=OFTEN_S):
        studio.wait_request(3, path=paths.MODELS_V1)
        lines = [record.getMessage() for record in caplog.records]
        studio.wait_request(3 + CYCLES, path=paths.MODELS_V1)
        assert [record.getMessage() for record in caplog.records] == lines


def test_polls_are_spread_out_while_nobody_answers(short_dir: Path, studio: LMStudio) -> None:
    """F29: the first failure is followed by half a second of peace at least."""
    studio.next_fault(faults.reset(), times=1000)
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=OFTEN_S):
        first, again, second = (studio.wait_request(number) for number in (1, 2, 3))

    assert again.received_at - first.received_at < 0.4  # a reset GET is sent once more at once
    assert second.received_at - again.received_at > 0.4


def test_slow_list_does_not_delay_a_generation(daemon: RunningDaemon, studio: LMStudio) -> None:
    """F29."""
    studio.next_fault(faults.no_answer(), path=paths.MODELS_V1)
    polls = len(studio.requests(path=paths.MODELS_V1))
    daemon.dealer().send(op="list", id=1, refresh=True)
    stuck = studio.wait_request(polls + 1, path=paths.MODELS_V1)

    for model in (None, GEMMA):
        assert daemon.client().generate("x", model=model).text == "Hello world"

    assert not stuck.ended.is_set()


def test_generation_notices_that_lm_studio_was_started(client: Client, studio: LMStudio) -> None:
    """F30: the next poll is an hour away, but somebody needs it now."""
    studio.stop()
    with pytest.raises(UpstreamUnavailable):
        client.generate("x")
    studio.start()

    assert answered(client).text == "Hello world"

    listed = client.list()
    assert (listed.source.reachable, codes(listed)) == (True, [])


def test_list_notices_that_lm_studio_was_started(client: Client, studio: LMStudio) -> None:
    """F30: a list that is there is told at once, and another one is fetched."""
    studio.stop()
    stale = refreshed(client)
    assert (stale.source.reachable, codes(stale)) == (False, ["stale"])
    studio.start()

    while not (listed := client.list(since=stale.generation, timeout=0.2)).source.reachable:
        client.list()

    assert (codes(listed), ids(listed)) == ([], ids(stale))


def test_list_tells_its_age(client: Client, studio: LMStudio) -> None:
    """F28, R3: what is known is an observation, as old as it is."""
    first = client.list()
    studio.stop()
    stale = refreshed(client)

    assert first.source.age_s is not None
    assert stale.source.age_s is not None
    assert first.source.fetched_at == stale.source.fetched_at
    assert 0 <= first.source.age_s < stale.source.age_s < LIMIT_S
    assert (first.source.stale, stale.source.stale) == (False, True)
    studio.start()
    assert client.list(max_age=0).source.stale is False


def test_model_that_has_expired_is_noticed(client: Client, studio: LMStudio) -> None:
    """F28: a model loaded on demand goes after an hour, and nobody is told."""
    assert client.generate("x").model == QWEN
    assert model_in(refreshed(client), QWEN).loaded

    studio.clock.advance(3601)

    listed = refreshed(client)
    assert model_in(listed, QWEN).loaded is False
    assert listed.selection.model == QWEN  # it can be loaded again


def test_three_kinds_of_bad_days_are_told_apart(client: Client, studio: LMStudio) -> None:
    """F30: not there; there without models; there, but not well."""
    studio.stop()
    unreachable = refreshed(client)
    studio.world.models.clear()
    studio.start()
    without_models = refreshed(client)
    studio.next_fault(faults.plain_error("updating", 500), path=paths.MODELS_V1)
    degraded = refreshed(client)

    states = [
        (each.source.reachable, each.source.error.code if each.source.error else None)
        for each in (unreachable, without_models, degraded)
    ]
    assert states == [(False, "upstream_unavailable"), (True, None), (True, "upstream_error")]
    assert (ids(without_models), without_models.selection.how) == ([], "none")


def test_authentication_is_no_reason_to_try_an_older_route(
    client: Client, studio: LMStudio
) -> None:
    """F15: nor to look again what the server may be."""
    before = len(studio.requests())
    studio.require_token("sk-lm-abcd1234:0123456789abcdefghij")

    for _ in range(3):
        listed = refreshed(client)
        assert listed.source.error is not None
        assert listed.source.error.code == "upstream_auth"

    assert paths_asked(studio, after=before) == [paths.MODELS_V1] * 3
    assert asked_models(studio) == []
