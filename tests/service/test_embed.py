"""``embed``: vectors in the order of the texts, and never from a chat model."""

from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import RARELY_S, SOON_S, error, result, until_answered, wait_queue
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, silence, status, tokens
from tests.support.upstream_server import UpstreamServer


def vectors(*rows: list[float], **more: Any) -> Reply:  # noqa: ANN401 - JSON is anything
    """Answer with these vectors, the last one first."""
    entries = [{"index": index, "embedding": row} for index, row in enumerate(rows)]
    return status(200, {"object": "list", "data": entries[::-1], "model": "a", **more})


def test_one_text_has_one_vector(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(vectors([0.5, -1.0], usage={"prompt_tokens": 3, "total_tokens": 3}))

    assert result(dealer.ask(op="embed", id=1, input="hello", model="a")) == {
        "model": "a",
        "embeddings": [[0.5, -1.0]],
        "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
        "warnings": [],
    }
    exchange = upstream.wait_generation()
    assert exchange.path == "/v1/embeddings"
    assert exchange.body == {"model": "a", "input": ["hello"]}


def test_vectors_are_in_the_order_of_the_texts(dealer: Dealer, upstream: UpstreamServer) -> None:
    rows = [[float(number), 1.0] for number in range(50)]
    upstream.script.append(vectors(*rows))

    answer = result(dealer.ask(op="embed", id=1, input=[str(n) for n in range(50)], model="a"))

    assert answer["embeddings"] == rows
    assert answer["usage"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": "AAAA"}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
        {"object": "list"},
    ],
)
def test_odd_vectors_are_no_answer(dealer: Dealer, upstream: UpstreamServer, body: object) -> None:
    upstream.script.append(status(200, body))

    refused = error(dealer.ask(op="embed", id=1, input=["a", "b"], model="a"))

    assert refused["code"] == "upstream_error"


@pytest.mark.parametrize("given", ["", [], ["a", ""], 5, None])
def test_what_is_no_text_is_refused(
    dealer: Dealer, upstream: UpstreamServer, given: object
) -> None:
    refused = error(dealer.ask(op="embed", id=1, input=given, model="a"))

    assert refused["code"] == "bad_request"
    assert "input" in refused["message"]
    assert upstream.generations == []


def test_without_an_embedding_model_there_is_none(dealer: Dealer, upstream: UpstreamServer) -> None:
    """A plain server does not tell which of its models make vectors."""
    refused = error(dealer.ask(op="embed", id=1, input="x"))

    assert refused["code"] == "no_model"
    assert "name one" in refused["hint"]
    assert upstream.generations == []


def test_unknown_model_is_told(dealer: Dealer, upstream: UpstreamServer) -> None:
    assert error(dealer.ask(op="embed", id=1, input="x", model="z"))["code"] == "model_not_found"
    assert upstream.generations == []


def test_vectors_wait_for_their_turn(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.extend([silence(), vectors([1.0])])
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=0)
        dealer.send(op="generate", id="g", prompt="x")
        dealer.send(op="embed", id="e", input="x", model="a")
        report = wait_queue(daemon.dealer(), running=1, waiting=1)
        assert [(each["op"], each["state"]) for each in report["requests"]] == [
            ("generate", "waiting"),
            ("embed", "queued"),
        ]
        upstream.wait_generation()
        assert len(upstream.generations) == 1

        dealer.send(op="cancel", id="c", target="g")
        *_, last = until_answered(dealer, "g", "c", "e")
        assert result(last)["embeddings"] == [[1.0]]


def test_cancelling_hangs_up(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    dealer.send(op="embed", id=1, input="x", model="a")
    asked: Exchange = upstream.wait_generation()

    dealer.send(op="cancel", id=2, target=1)
    first, second = until_answered(dealer, 1, 2)

    assert error(first)["code"] == "cancelled"
    assert result(second) == {"cancelled": True}
    assert asked.ended.wait(SOON_S)


def test_chats_go_on_beside_vectors(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.extend([silence(), tokens("Hello")])
    dealer.send(op="embed", id="e", input="x", model="a")
    upstream.wait_generation()

    assert result(dealer.ask(op="generate", id="g", prompt="x"))["text"] == "Hello"


def test_who_does_not_read_gets_no_more_than_can_be_kept(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """Each answer is 9 MB: those that are not read hold up the next ones, and none is lost."""
    row = [float(number) for number in range(1000)]
    upstream.script.extend(vectors(*[row] * 1000) for _ in range(8))
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        reader = daemon.dealer(receive_high_water=1)
        daemon.dealer().ask(op="list", id=0)
        for number in range(8):
            reader.send(op="embed", id=number, input=["x"] * 1000, model="a")
        upstream.wait_generation(2)

        answers = until_answered(reader, *range(8))

    assert [len(result(answer)["embeddings"]) for answer in answers] == [1000] * 8
