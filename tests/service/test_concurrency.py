"""How many generations run at once, whose turn is next, and when the queue is full."""

from pathlib import Path

from tests.service.asking import error, result, until_answered, wait_queue
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer


def send_all(dealer: Dealer, *names: str) -> None:
    for name in names:
        dealer.send(op="generate", id=name, prompt=name)


def prompts(upstream: UpstreamServer) -> list[str]:
    """Return what has reached the upstream, in order."""
    return [each.body["messages"][-1]["content"] for each in upstream.generations]


def test_no_more_run_at_once_than_the_setting_allows(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gates = [Gate() for _ in range(6)]
    upstream.script.extend(tokens("x", gate=gate) for gate in gates)
    with start_daemon(short_dir, upstream, daemon_max_concurrency=2) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        send_all(dealer, "1", "2", "3")
        send_all(watcher, "4", "5", "6")
        upstream.wait_generation(2)

        for done in range(4):
            wait_queue(daemon.dealer(), running=2, waiting=4 - done)
            assert len(upstream.generations) == done + 2
            gates[done].step(2)
            upstream.wait_generation(done + 3)
        for gate in gates[4:]:
            gate.step(2)

        until_answered(dealer, "1", "2", "3")
        until_answered(watcher, "4", "5", "6")
        wait_queue(dealer, running=0, waiting=0)


def test_as_many_run_at_once_as_the_setting_allows(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gates = [Gate() for _ in range(20)]
    upstream.script.extend(tokens("x", gate=gate) for gate in gates)
    with start_daemon(short_dir, upstream, daemon_max_concurrency=20) as daemon:
        dealer = daemon.dealer()
        send_all(dealer, *map(str, range(20)))

        upstream.wait_generation(20)
        wait_queue(daemon.dealer(), running=20, waiting=0)
        for gate in gates:
            gate.step(2)
        until_answered(dealer, *map(str, range(20)))


def test_clients_take_turns(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    with start_daemon(short_dir, upstream, daemon_max_concurrency=1) as daemon:
        greedy, modest = daemon.dealer(), daemon.dealer()
        send_all(greedy, "g1")
        upstream.wait_generation()
        send_all(greedy, "g2", "g3", "g4", "g5")
        wait_queue(greedy, running=1, waiting=4)
        send_all(modest, "m1", "m2")
        wait_queue(modest, running=1, waiting=6)

        gate.step(2)

        until_answered(greedy, "g5")
        assert prompts(upstream) == ["g1", "g2", "m1", "g3", "m2", "g4", "g5"]


def test_queue_of_one_client_can_be_full(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_queue_limit=2
    ) as daemon:
        greedy, modest = daemon.dealer(), daemon.dealer()
        send_all(greedy, "g1")
        upstream.wait_generation()
        send_all(greedy, "g2", "g3", "g4")

        refused = greedy.receive()
        assert refused["id"] == "g4"
        assert error(refused)["code"] == "queue_full"
        assert error(refused)["retryable"] is True
        assert "daemon_queue_limit" in error(refused)["hint"]

        send_all(modest, "m1")  # the others have room of their own
        wait_queue(modest, running=1, waiting=3)
        gate.step(2)
        until_answered(greedy, "g1", "g2", "g3")
        assert result(greedy.ask(op="generate", id="g4", prompt="again"))
        assert result(modest.receive())
    assert sorted(prompts(upstream)) == ["again", "g1", "g2", "g3", "m1"]


def test_many_clients_at_once_get_their_own_answers(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream) as daemon:
        clients = [daemon.dealer() for _ in range(30)]
        for client in clients:
            for number in range(10):
                client.send(op="generate", id=number, prompt="x", stream=number % 2 == 0)
        for client in clients:
            replies = until_answered(client, *range(10))
            for number in range(10):
                *chunks, last = [reply for reply in replies if reply["id"] == number]
                assert result(last)["text"] == "Hello world"
                if number % 2 == 0:
                    assert "".join(chunk["text"] for chunk in chunks) == "Hello world"
                else:
                    assert chunks == []
        totals = result(clients[0].ask(op="status", id="s"))["totals"]
    assert totals["generations"] == 300
    assert totals["errors"] == {}
