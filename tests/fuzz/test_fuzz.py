"""Some thousand bodies for each that takes some, always the same ones."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from devsynthd.wire.codec import Encoding, Undecodable, decode_request, encoding_of
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.requests import REQUEST_TYPES
from tests.fuzz.__main__ import told
from tests.fuzz.requests import BODIES
from tests.fuzz.target import Check, Target, fuzz
from tests.fuzz.targets import TARGETS

SEED = 20_240_517

SLOWLY = pytest.mark.timeout(120)  # a second or two as a rule, but a busy machine is no fault

SAMPLES = {
    "codec": 1200,
    "messages": 250,
    "strangers": 120,
    "answers": 400,
    "listings": 250,
    "upstream": 60,
    "settings": 120,
    "reloads": 10,
    "checks": 2,
    "caches": 300,
    "starts": 8,
    "decoders": 250,
    "replies": 40,
    "commands": 2,
    "pipe": 50,
}


@SLOWLY
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_body_breaks_a_promise(target: Target, short_dir: Path) -> None:
    outcome = fuzz(target, short_dir, SAMPLES[target.name], SEED)

    assert not outcome.crashes, "".join(told(target.name, crash) for crash in outcome.crashes)
    assert outcome.bodies >= SAMPLES[target.name]


@SLOWLY
def test_the_bodies_are_of_every_kind() -> None:
    ops: Counter[str] = Counter()
    encodings: Counter[Encoding] = Counter()
    refusals: Counter[str] = Counter()

    @seed(SEED)
    @settings(
        max_examples=1000,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(BODIES)
    def look(body: bytes) -> None:
        encodings[encoding_of(body)] += 1
        try:
            ops[str(decode_request(body, encoding_of(body)).__struct_config__.tag)] += 1
        except Undecodable as exc:
            refusals[str(exc.reason.code)] += 1

    look()
    assert set(ops) == set(REQUEST_TYPES)
    assert min(encodings.values()) > 200
    assert ops.total() > 300  # else they show nothing of what requests do
    assert set(refusals) == {ErrorCode.BAD_REQUEST, ErrorCode.UNSUPPORTED_VERSION}


# The fuzzer itself -----------------------------------------------------------------------------


@contextmanager
def _buggy(_: Path) -> Iterator[Check]:
    def check(body: bytes) -> None:
        assert b"\xff" not in body

    yield check


@contextmanager
def _leaky(_: Path) -> Iterator[Check]:
    yield lambda _: None
    raise AssertionError("it has grown")


def test_a_crash_is_found_and_made_small_and_found_again(short_dir: Path) -> None:
    target = Target("codec", st.binary(max_size=50), _buggy, share=1)

    crash, *_ = fuzz(target, short_dir, 1000, SEED).crashes

    assert crash.sample == b"\xff"
    assert "--only codec" in told("codec", crash)
    assert repr(crash.sample) in told("codec", crash)
    assert fuzz(target, short_dir, 1000, crash.seed).crashes[0].sample == b"\xff"


def test_what_is_only_seen_at_the_end_is_a_crash_too(short_dir: Path) -> None:
    outcome = fuzz(Target("codec", st.binary(), _leaky, share=1), short_dir, 10, SEED)

    assert [str(crash.error) for crash in outcome.crashes] == ["it has grown"]
