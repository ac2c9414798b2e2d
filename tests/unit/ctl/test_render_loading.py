"""The line that tells what became of loading, unloading and downloading."""

import pytest

from devsynthctl.render.loading import downloaded, loaded, unloaded
from devsynthd.wire.results import DownloadOutcome, LoadOutcome, UnloadOutcome


@pytest.mark.parametrize(
    ("instance_id", "load_time_s", "line"),
    [
        ("q/m", 9.099, "loaded q/m in 9.1 s\n"),
        ("q/m:2", 61, "loaded q/m as q/m:2 in 61.0 s\n"),
        ("q/m", 0, "q/m was loaded already\n"),
        ("q/m:2", 0.0, "q/m was loaded already\n"),
        ("q\tm\n\x1b", 1, "loaded q/m as q m ␛ in 1.0 s\n"),
    ],
)
def test_loaded(instance_id: str, load_time_s: float, line: str) -> None:
    outcome = LoadOutcome(model="q/m", instance_id=instance_id, load_time_s=load_time_s)
    assert loaded(outcome) == line


@pytest.mark.parametrize(
    ("ids", "line"),
    [
        ((), "nothing to unload: q/m was not loaded\n"),
        (("q/m",), "unloaded q/m\n"),
        (("q/m", "a\tb"), "unloaded q/m, a b\n"),
    ],
)
def test_unloaded(ids: tuple[str, ...], line: str) -> None:
    assert unloaded(UnloadOutcome(model="q/m", instance_ids=ids)) == line


@pytest.mark.parametrize(
    ("status", "size_bytes", "line"),
    [
        ("completed", 2_100_000_000, "downloaded q/m (2.1 GB)\n"),
        ("completed", 999_500_000, "downloaded q/m (1.0 GB)\n"),
        ("completed", 999_499_999, "downloaded q/m (999 MB)\n"),
        ("completed", 0, "downloaded q/m (0 MB)\n"),
        ("completed", None, "downloaded q/m\n"),
        ("already_downloaded", None, "q/m was downloaded already\n"),
        ("paused", 10**9, "q/m (1.0 GB) is not there yet: the download is paused\n"),
        ("a\tb", None, "q/m is not there yet: the download is a b\n"),
    ],
)
def test_downloaded(status: str, size_bytes: int | None, line: str) -> None:
    assert downloaded(DownloadOutcome(model="q/m", status=status, size_bytes=size_bytes)) == line
