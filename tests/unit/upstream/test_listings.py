import json
from typing import Any

import pytest

from devsynthd.upstream.entries import MAX_MODELS
from devsynthd.upstream.listings import listing_of, short_count
from devsynthd.wire.errors import DevsynthError, UpstreamAuth, UpstreamError
from devsynthd.wire.objects import Instance, Model

ADDRESS = "http://127.0.0.1:1234/v1"


def _models(*entries: object) -> tuple[Model, ...]:
    body = json.dumps({"object": "list", "data": entries}).encode()
    return listing_of(200, "application/json", body, address=ADDRESS).models


def _model(**entry: object) -> Model:
    (model,) = _models({"id": "m", **entry})
    return model


def test_lm_studio_tells_neither_state_nor_date() -> None:
    assert _models(
        {"id": "liquid/lfm2-1.2b", "object": "model", "owned_by": "organization_owner"},
        {"id": "text-embedding-nomic-embed-text-v1.5", "object": "model"},
    ) == (
        Model(id="liquid/lfm2-1.2b", name="liquid/lfm2-1.2b", owner="organization_owner"),
        Model(
            id="text-embedding-nomic-embed-text-v1.5", name="text-embedding-nomic-embed-text-v1.5"
        ),
    )


def test_llama_server_has_its_model_loaded() -> None:
    meta = {"n_ctx": 8192, "n_ctx_train": 131072, "n_params": 8030261312, "size": 4912898304}

    assert _model(owned_by="llamacpp", meta=meta) == Model(
        id="m",
        name="m",
        owner="llamacpp",
        loaded=True,
        instances=(Instance("m", 8192),),
        context_length=8192,
        max_context_length=131072,
        size_bytes=4912898304,
        parameters="8.0B",
    )


def test_llama_server_as_a_router_tells_the_state() -> None:
    states = {"loaded": True, "unloaded": False, "loading": False, "sleeping": False}
    for state, loaded in states.items():
        assert _model(owned_by="llamacpp", status={"value": state}).loaded is loaded


def test_vllm_has_its_models_loaded() -> None:
    model = _model(owned_by="vllm", max_model_len=4096, root="org/model", permission=[{}])

    assert (model.loaded, model.context_length, model.max_context_length) == (True, 4096, 4096)


def test_others_do_not_tell_whether_a_model_is_loaded() -> None:
    model = _model(owned_by="library", created=1, max_model_len=4096)

    assert (model.loaded, model.context_length, model.max_context_length) == (None, None, 4096)


@pytest.mark.parametrize(
    "odd",
    [
        {"meta": None, "owned_by": None, "status": None, "architecture": None},
        {"meta": [], "owned_by": 7, "status": "loaded", "architecture": []},
        {"meta": {"n_ctx": "8k", "n_params": True, "size": -1, "n_ctx_train": 2**70}},
        {"max_model_len": 1.5, "architecture": {"input_modalities": "image"}},
    ],
)
def test_odd_fields_stay_unknown(odd: dict[str, Any]) -> None:
    assert _model(**odd) == Model(id="m", name="m")


def test_what_a_model_sees() -> None:
    assert _model(architecture={"input_modalities": ["text", "image"]}).vision is True
    assert _model(architecture={"input_modalities": ["text"]}).vision is False


def test_names_are_cleaned_and_ids_are_kept() -> None:
    model = _model(id="a\x1b[31m b\n", name="red\x1b[0m\nname", owned_by="\u202eme")

    assert (model.id, model.name, model.owner) == ("a\x1b[31m b\n", "red name", "me")


def test_entries_without_a_usable_id_are_left_out() -> None:
    bad: list[object] = [None, 7, "m", {}, {"id": ""}, {"id": 3}, {"id": "x" * 1025}]

    assert [model.id for model in _models(*bad, {"id": "\ud800"}, {"id": "good"})] == ["good"]


def test_the_same_id_twice_is_one_model_at_its_first_place() -> None:
    models = _models(
        {"id": "a"}, {"id": "b", "owned_by": "x"}, {"id": "a", "owned_by": "y"}, {"id": "a"}
    )

    assert models == (Model(id="a", name="a", owner="y"), Model(id="b", name="b", owner="x"))


@pytest.mark.parametrize("body", [b'{"object":"list","data":[]}', b'{"object":"list","data":null}'])
def test_no_models_is_a_list_too(body: bytes) -> None:
    assert listing_of(200, "application/json", body, address=ADDRESS).models == ()


def test_half_a_surrogate_pair_does_not_spoil_the_list() -> None:
    body = b'{"data":[{"id":"a","owned_by":"x\\ud800y"}]}'
    (model,) = listing_of(200, "application/json", body, address=ADDRESS).models

    assert model.owner == "xy"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"error":"Unexpected endpoint or method. (GET /v1/models)"}', UpstreamError),
        (200, b'{"error":"no","data":[]}', UpstreamError),
        (200, b"<html>", UpstreamError),
        (200, b'{"data":{}}', UpstreamError),
        (200, b'{"models":[]}', UpstreamError),
        (200, b"[]", UpstreamError),
        (200, b'{"data":[', UpstreamError),
        (404, b'{"detail":"Not Found"}', UpstreamError),
        (404, b'{"data":[]}', UpstreamError),
        (302, b"", UpstreamError),
        (401, b"{}", UpstreamAuth),
    ],
)
def test_what_is_no_list_is_an_error(status: int, body: bytes, kind: type[DevsynthError]) -> None:
    with pytest.raises(DevsynthError) as caught:
        listing_of(status, "application/json", body, address=ADDRESS)

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("number", "expected"),
    [(999, "999"), (134515008, "135M"), (1_240_000_000, "1.2B"), (70_600_000_000, "71B")],
)
def test_counts_are_short(number: int, expected: str) -> None:
    assert short_count(number) == expected


def test_a_list_has_a_greatest_length() -> None:
    entries = [{"id": str(number)} for number in range(MAX_MODELS + 1)]
    body = json.dumps({"object": "list", "data": entries}).encode()

    with pytest.raises(UpstreamError, match=f"lists {MAX_MODELS + 1} models: more than") as caught:
        listing_of(200, "application/json", body, address=ADDRESS)
    assert caught.value.hint

    body = json.dumps({"object": "list", "data": entries[1:]}).encode()
    assert len(listing_of(200, "application/json", body, address=ADDRESS).models) == MAX_MODELS


HUGE = b"9" * 4000
ODD_NUMBERS = [b"1e400", b"-1e400", b"NaN", b"Infinity", HUGE, b"-" + HUGE, b"1e308", b"-1"]


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_numbers_that_are_none_stay_unknown(number: bytes) -> None:
    entry = b'{"id":"a","max_model_len":?,"meta":{"n_params":?,"size":?}}'.replace(b"?", number)
    body = b'{"object":"list","data":[%b]}' % entry

    (model,) = listing_of(200, "application/json", body, address=ADDRESS).models
    assert (model.max_context_length, model.parameters, model.size_bytes) == (None, None, None)
