"""How long a silence is taken for work."""

from devsynthctl.liveness import ASK_AFTER_S, GIVE_UP_AFTER_S, Liveness, Pulse


def pulses(liveness: Liveness, seconds: float) -> list[Pulse]:
    return [liveness.waited(1.0) for _ in range(round(seconds))]


def test_a_silent_daemon_is_asked_once_and_then_given_up() -> None:
    told = pulses(Liveness(), GIVE_UP_AFTER_S)

    assert told.index(Pulse.ASK) == ASK_AFTER_S - 1
    assert told.count(Pulse.ASK) == 1
    assert told.index(Pulse.GONE) == GIVE_UP_AFTER_S - 1


def test_whatever_comes_begins_the_count_anew() -> None:
    liveness = Liveness()
    for _ in range(3):
        assert Pulse.GONE not in pulses(liveness, GIVE_UP_AFTER_S - 1)
        liveness.heard()


def test_a_program_that_was_stopped_itself_gives_nobody_up() -> None:
    liveness = Liveness()

    assert liveness.waited(3600.0) is Pulse.FINE
    assert liveness.waited(3600.0) is Pulse.FINE
