"""Decoders of what a daemon says."""

import signal

import msgspec

from devsynthctl.shapes import decoder_of

masks: list[set[signal.Signals]] = []


def looked_at() -> type[int]:
    """Be a type that notes which signals are held back while it is looked at."""
    masks.append({signal.Signals(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())})
    return int


def test_no_ctrl_c_gets_lost_while_one_is_made() -> None:
    shape = msgspec.defstruct("Shape", [("a", "looked_at()")], module=__name__)

    result = decoder_of(shape).decode(msgspec.msgpack.encode({"a": 5}))

    assert result.a == 5
    assert [signal.SIGINT in mask for mask in masks] == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert decoder_of(shape) is decoder_of(shape)
