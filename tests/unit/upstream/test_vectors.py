"""What counts as the vectors of some texts."""

import json
import struct
import tracemalloc
from typing import Any

import pytest

from devsynthd.upstream.base import Vectors
from devsynthd.upstream.failures import ModelGone
from devsynthd.upstream.lists import Body
from devsynthd.upstream.vectors import vectors_of
from devsynthd.wire.errors import (
    DevsynthError,
    ModelNotFound,
    NoModel,
    NotSupported,
    UpstreamAuth,
    UpstreamError,
)
from devsynthd.wire.objects import Usage
from tests.upstream.asking import numbers

ADDRESS = "http://127.0.0.1:1234/v1"


def _read(value: object, count: int = 2, status: int = 200) -> Vectors:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return vectors_of(Body(status, "application/json", data), count, address=ADDRESS)


def _refused(value: object, count: int = 2, status: int = 200) -> DevsynthError:
    with pytest.raises(DevsynthError) as caught:
        _read(value, count, status)
    return caught.value


def _entries(*rows: object, indexes: tuple[object, ...] = ()) -> list[dict[str, Any]]:
    numbers = indexes or tuple(range(len(rows)))
    return [
        {"object": "embedding", "embedding": row, "index": index}
        for row, index in zip(rows, numbers, strict=True)
    ]


LMSTUDIO = {
    "object": "list",
    "data": _entries([-0.0167, 0.0284], [1, 2]),
    "model": "text-embedding-nomic-embed-text-v1.5@q4_k_m",
    "usage": {"prompt_tokens": 0, "total_tokens": 0},
}
VLLM = {
    "id": "embd-1",
    "object": "list",
    "created": 1,
    "data": _entries([0.5], [1e-9]),
    "model": "org/base",
    "usage": {
        "prompt_tokens": 4,
        "total_tokens": 4,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    },
}
BARE = {"data": [{"embedding": [1, 2]}, {"embedding": [3, 4]}]}


def test_lm_studio_names_the_variant_and_counts_nothing() -> None:
    found = _read(LMSTUDIO)

    assert found.model == "text-embedding-nomic-embed-text-v1.5@q4_k_m"
    assert numbers(found) == [(-0.0167, 0.0284), (1.0, 2.0)]
    assert found.usage == Usage(0, 0, 0)


def test_vllm_counts_what_it_reads() -> None:
    found = _read(VLLM)

    assert (found.model, numbers(found)) == ("org/base", [(0.5,), (1e-9,)])
    assert found.usage == Usage(4, 0, 4)


def test_only_the_vectors_are_needed() -> None:
    found = _read(BARE)

    assert (found.model, numbers(found)) == (None, [(1.0, 2.0), (3.0, 4.0)])
    assert found.usage is None


def test_each_vector_is_an_array_of_float64_also_where_its_numbers_are_integral() -> None:
    found = _read({"data": [{"embedding": [1, 0.5, -0.0]}]}, 1)
    float64 = [b"\xcb" + struct.pack(">d", number) for number in (1.0, 0.5, -0.0)]

    assert [bytes(each) for each in found.vectors] == [b"\x93" + b"".join(float64)]


def test_a_number_that_is_none_beside_the_vectors_does_no_harm() -> None:
    body = json.dumps(LMSTUDIO).replace('"list"', "1e999").encode()

    assert len(_read(body).vectors) == 2


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3}, Usage(3, 0, 3)),
        ({"prompt_tokens": 3, "total_tokens": 5}, Usage(3, 0, 5)),
        ({"total_tokens": 5}, None),
        ({}, None),
        ("none", None),
        (None, None),
    ],
)
def test_counts_may_be_partial_and_nothing_is_ever_written(
    usage: object, expected: Usage | None
) -> None:
    assert _read({**BARE, "usage": usage}).usage == expected


def test_the_numbers_tell_the_order() -> None:
    data = _entries([2], [0], [1], indexes=(2, 0, 1))

    assert numbers(_read({"data": data}, 3)) == [(0.0,), (1.0,), (2.0,)]


def test_many_vectors_take_little_more_than_their_text() -> None:
    row = ",".join(["-0.0123456789012"] * 512)
    entries = ",".join(f'{{"embedding":[{row}],"index":{index}}}' for index in range(2000))
    tracemalloc.start()
    try:
        body = f'{{"data":[{entries}]}}'.encode()
        tracemalloc.reset_peak()
        found = _read(body, 2000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(found.vectors) == 2000
    assert peak_bytes < 2 * len(body), f"{peak_bytes / len(body):.2f} times its size"


ODD: list[tuple[object, str]] = [
    ({"data": []}, "0 for 2 texts"),
    ({"data": _entries([1])}, "1 for 2 texts"),
    ({"data": _entries([1], [2], [3])}, "3 for 2 texts"),
    ({"data": _entries([1], [])}, "number 1 is empty"),
    ({"data": _entries([1, 2], [3])}, "number 1 is not as long as the first"),
    ({"data": _entries([1], [2], indexes=(0, 0))}, "their numbers"),
    ({"data": _entries([1], [2], indexes=(1, 2))}, "their numbers"),
    ({"data": _entries([1], [2], indexes=(0, None))}, "their numbers"),
    ({"data": _entries([1], "AACAPwAAAEA=")}, "got `str` - at `$[1].embedding`"),
    ({"data": _entries([1], ["2"])}, "got `str`"),
    ({"data": _entries([1], [None])}, "got `null`"),
    ({"data": _entries([1], [True])}, "got `bool`"),
    ({"data": _entries([1], [[2]])}, "got `array`"),
    ({"data": _entries([1], {"values": [2]})}, "got `object`"),
    ({"data": [{"embedding": [1]}, {"index": 1}]}, "missing required field `embedding`"),
    ({"data": [[1], [2]]}, "got `array` - at `$[0]`"),
    (b'{"data":[{"embedding":[1]},{"embedding":[1e999]}]}', "out of range"),
    (b'{"data":[{"embedding":[1]},{"embedding":[NaN]}]}', ""),
]


@pytest.mark.parametrize(("value", "problem"), ODD)
def test_what_is_no_vector_for_each_text_is_refused(value: object, problem: str) -> None:
    error = _refused(value)

    assert type(error) is UpstreamError
    assert error.details["status"] == 200
    assert problem in error.details["message"]
    assert problem in str(error)
    assert ADDRESS in str(error)


ERRORS: list[tuple[int, object, type[DevsynthError]]] = [
    (401, b"", UpstreamAuth),
    (400, {"error": "Model unloaded."}, ModelGone),
    (400, {"error": {"message": "No models loaded. Please load a model"}}, NoModel),
    (404, {"error": {"message": 'model "x" not found, try pulling it first'}}, ModelNotFound),
    (501, {"error": {"type": "not_supported_error", "message": "Start it with x"}}, NotSupported),
    (400, {"error": {"message": "this model does not support embeddings"}}, NotSupported),
    (200, {"error": "Unexpected endpoint or method. (POST /v1/embeddings)"}, UpstreamError),
    (200, {"error": "no", "data": []}, UpstreamError),
    (200, {"object": "error", "message": "no", "data": []}, UpstreamError),
    (500, {"data": _entries([1], [2])}, UpstreamError),
    (200, [{"index": 0, "embedding": [[1]]}], UpstreamError),
    (200, b"<html>", UpstreamError),
    (200, {"data": "none"}, UpstreamError),
    (200, b"", UpstreamError),
    (200, {}, UpstreamError),
    (200, b"[" * 5000, UpstreamError),
]


@pytest.mark.parametrize(("status", "value", "kind"), ERRORS)
def test_errors_are_those_of_any_answer(
    status: int, value: object, kind: type[DevsynthError]
) -> None:
    assert type(_refused(value, status=status)) is kind


MIB = 2**20


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b'{"data":[1' + b",1" * 2 * MIB + b"]}", "got `int` - at `$[0]`", id="ones"),
        pytest.param(
            b'{"data":[{"embedding":[1' + b",1" * 2 * MIB + b"]}]}", "number 0 has", id="one"
        ),
        pytest.param(
            b'{"data":[{"embedding":[]}' + b',{"embedding":[]}' * (MIB // 4) + b"]}",
            "more than one",
            id="entries",
        ),
        pytest.param(
            b'{"data":[{"embedding":[1,[]' + b",[]" * MIB + b"]}]}", "number 0 has", id="lists"
        ),
    ],
)
def test_what_is_no_vector_takes_little_more_than_its_text(body: bytes, problem: str) -> None:
    tracemalloc.start()
    try:
        error = _refused(body, 1)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert type(error) is UpstreamError
    assert problem in str(error)
    assert peak_bytes < 2 * len(body), f"{peak_bytes / len(body):.2f} times its size"


@pytest.mark.parametrize("name", [b"usage", b"model", b"object"])
def test_what_is_beside_the_vectors_is_not_read_if_it_is_long(name: bytes) -> None:
    body = b'{"data":[{"embedding":[1]}],"%b":[[]%b]}' % (name, b",[]" * (MIB // 2))
    tracemalloc.start()
    try:
        found = _read(body, 1)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert numbers(found) == [(1.0,)]
    assert (found.model, found.usage) == (None, None)
    assert peak_bytes < 2 * len(body)


def test_the_longest_vector_is_taken() -> None:
    row = [-0.01234567890123456e-10] * 65_536

    assert len(numbers(_read({"data": [{"embedding": row}]}, 1))[0]) == 65_536
