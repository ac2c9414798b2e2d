"""``progress`` replies: what a generation waits for, while it waits."""

from pathlib import Path

import zmq

from tests.service.asking import RARELY_S, AnyDict, error, result, wait_queue, wait_status
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, tokens
from tests.support.upstream_server import UpstreamServer, free_port


def ask(dealer: Dealer, name: str, **more: object) -> None:
    dealer.send(op="generate", id=name, prompt=name, progress=True, **more)


def steps(replies: list[AnyDict]) -> list[tuple[str, int | None]]:
    """Return the state and the place in the queue of each progress reply."""
    return [(each["state"], each["position"]) for each in replies if each["type"] == "progress"]


def told_so_far(dealer: Dealer, last: tuple[str, int | None]) -> list[tuple[str, int | None]]:
    """Return the progress up to *last*."""
    found: list[tuple[str, int | None]] = []
    while not found or found[-1] != last:
        found += steps([dealer.receive()])
    return found


def test_one_that_need_not_wait_says_when_it_is_sent(dealer: Dealer) -> None:
    ask(dealer, "x")

    first, last = dealer.receive(), dealer.receive()

    assert set(first) == {"type", "id", "state", "position", "fraction", "request"}
    assert steps([first]) == [("waiting", None)]
    assert first["request"] > 0
    assert result(last)["text"] == "Hello world"


def test_nobody_is_told_who_did_not_ask(dealer: Dealer) -> None:
    assert result(dealer.ask(op="generate", id=1, prompt="x"))


def test_places_in_the_queue_are_told_as_they_change(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gates = [Gate() for _ in range(4)]
    upstream.script.extend(tokens("x", gate=gate) for gate in gates)
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        runs, waits, late = daemon.dealer(), daemon.dealer(), daemon.dealer()
        runs.ask(op="list", id=0)
        ask(runs, "runs")
        upstream.wait_generation()
        ask(runs, "next")
        wait_queue(runs_watcher(daemon), running=1, waiting=1)
        ask(waits, "waits")
        assert told_so_far(waits, ("queued", 1)) == [("queued", 1)]
        ask(late, "late")
        assert told_so_far(late, ("queued", 2)) == [("queued", 2)]

        gates[0].step(2)
        assert told_so_far(waits, ("queued", 0)) == [("queued", 0)]
        assert told_so_far(late, ("queued", 1)) == [("queued", 1)]
        upstream.wait_generation(2)
        late.send(op="cancel", id="c", target="late")
        assert error(late.receive())["code"] == "cancelled"

        gates[1].step(2)
        assert told_so_far(waits, ("waiting", None)) == [("waiting", None)]
        gates[2].step(2)
        assert result(waits.receive())["text"] == "x"


def runs_watcher(daemon: RunningDaemon) -> Dealer:
    return daemon.dealer()


def test_one_that_arrives_in_front_moves_the_others_back(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        greedy, modest = daemon.dealer(), daemon.dealer()
        greedy.ask(op="list", id=0)
        greedy.send(op="generate", id="runs", prompt="x")
        upstream.wait_generation()
        ask(greedy, "g1")
        assert told_so_far(greedy, ("queued", 0))
        ask(greedy, "g2")
        assert told_so_far(greedy, ("queued", 1))

        ask(modest, "m1")

        assert told_so_far(modest, ("queued", 1))  # its client has not had a turn yet
        assert told_so_far(greedy, ("queued", 2)) == [("queued", 2)]


def test_waiting_for_an_upstream_is_told(short_dir: Path) -> None:
    with start_daemon(short_dir, f"http://127.0.0.1:{free_port()}/v1") as daemon:
        dealer = daemon.dealer()
        ask(dealer, "x", wait=60)

        assert told_so_far(dealer, ("queued", 0)) == [("queued", 0)]
        report = wait_status(daemon.dealer(), lambda report: len(report["requests"]) == 1)
        (request,) = report["requests"]
        assert (request["state"], request["position"]) == ("queued", 0)
        assert request["timing"]["queued_s"] == request["timing"]["total_s"] > 0
        assert report["queue"]["waiting"] == 1


def test_a_req_socket_takes_no_progress(daemon: RunningDaemon) -> None:
    refused = error(daemon.dealer(zmq.REQ).ask(op="generate", id=1, prompt="x", progress=True))
    assert refused["code"] == "bad_request"
