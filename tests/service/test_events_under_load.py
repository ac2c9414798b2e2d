"""A client that applies events to its snapshots knows what is, however much happens."""

import threading
from pathlib import Path
from typing import Any

from tests.service.asking import RARELY_S, AnyDict, listing, result, until_answered, wait_queue
from tests.service.watching import Watcher
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_replies import silence
from tests.support.upstream_server import UpstreamServer

CLIENTS = 3
ROUNDS = 15
LISTS = 40
VARIABLE = {"timing", "source", "fetched_at", "age_s"}
ENDS = ("done", "failed", "cancelled")
ORDER = ("queued", "waiting", "loading", "streaming", *ENDS)


class Mirror(Watcher):
    """A watcher of everything, and how everything is as far as it has been told."""

    def __init__(self, daemon: RunningDaemon, *, as_json: bool) -> None:
        super().__init__(daemon, as_json=as_json)
        self.now: AnyDict = {}
        self.requests: dict[int, AnyDict] = {}
        self.generations: list[int] = []

    def catch_up(self) -> None:
        """Read all that has been told before now."""
        self.send(op="ping", id="p")
        while (reply := self.receive())["type"] == "event":
            self.apply(reply)
        assert result(reply)

    def apply(self, event: AnyDict) -> None:
        """Take over what *event* tells."""
        assert not event["missed"], event
        topic, data = event["topic"], event["data"]
        if topic == "models":
            self.generations.append(data["generation"])
        if topic != "requests":
            self.now[topic] = timeless(data)
            return
        for request in data["requests"]:
            number, before = request["request"], self.requests.get(request["request"])
            if before is not None:
                assert ORDER.index(before["state"]) <= ORDER.index(request["state"])
            self.requests[number] = timeless(request)
            if request["state"] in ENDS:
                del self.requests[number]


def timeless(value: AnyDict) -> AnyDict:
    """Return *value* without what differs from one moment to the next."""
    return {key: each for key, each in value.items() if key not in VARIABLE}


def generate(dealer: Dealer, faults: list[Any]) -> None:
    """Have many generations at once, and cancel every third."""
    try:
        for _ in range(ROUNDS):
            for number in range(6):
                dealer.send(op="generate", id=number, prompt="x", stream=number % 2 == 0)
            for number in (1, 4):
                dealer.send(op="cancel", id=f"c{number}", target=number)
            until_answered(dealer, *range(6), "c1", "c4")
    except BaseException as exc:  # noqa: BLE001 - told to the test's own thread
        faults.append(exc)


def test_events_lead_from_any_snapshot_to_any_later_one(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=2, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer, faults = daemon.dealer(), list[Any]()
        dealer.ask(op="list", id=0)
        mirrors = [Mirror(daemon, as_json=False), Mirror(daemon, as_json=True)]
        dealers = [daemon.dealer() for _ in range(CLIENTS)]
        threads = [threading.Thread(target=generate, args=(each, faults)) for each in dealers]
        for thread in threads:
            thread.start()
        try:
            for number in range(LISTS):
                upstream.models_reply = listing({"id": "a"}, {"id": f"b{number // 2}"})
                result(dealer.ask(op="list", id=number, refresh=True))
                for mirror in mirrors:
                    mirror.catch_up()
                if number in {LISTS // 3, LISTS // 2}:
                    mirrors.append(Mirror(daemon, as_json=number % 2 == 0))
        finally:
            for thread in threads:
                thread.join()
        assert faults == []
        upstream.script.extend([silence(), silence()])
        for number in range(5):  # two run, three wait
            dealer.send(op="generate", id=number, prompt="x")
        wait_queue(daemon.dealer(), running=2, waiting=3)
        upstream.wait_generation(len(upstream.generations))

        last = Mirror(daemon, as_json=False)
        last.catch_up()
        for mirror in mirrors:
            mirror.catch_up()

        assert sorted(each["state"] for each in last.requests.values()) == sorted(
            ["waiting"] * 2 + ["queued"] * 3 + ["streaming"] * 5
        )
        for mirror in mirrors:
            assert mirror.now == last.now
            assert mirror.requests == last.requests
            assert mirror.generations == sorted(set(mirror.generations))
            assert len(mirror.generations) >= LISTS // 4
