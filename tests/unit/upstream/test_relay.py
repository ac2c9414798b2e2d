from devsynthd.upstream.relay import Relay


def test_what_is_put_can_be_taken_once_and_in_order() -> None:
    ready: list[None] = []
    relay: Relay[int] = Relay(10, lambda: ready.append(None))
    relay.put([1, 2])
    relay.put([3])

    assert len(ready) == 2
    assert relay.take() == [1, 2, 3]
    assert relay.take() == []


def test_room_is_told_of_only_after_there_was_none() -> None:
    told: list[str] = []
    relay: Relay[int] = Relay(2, lambda: None)
    relay.on_room = lambda: told.append("room")
    relay.put([1])
    assert not relay.full
    relay.take()
    assert told == []

    relay.put([1, 2, 3])
    assert relay.full
    relay.take()
    assert told == ["room"]
    assert not relay.full
