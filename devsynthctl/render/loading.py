"""What became of loading, unloading and downloading, as one line each. Pure."""

from devsynthctl.render.text import cell
from devsynthd.wire.results import DownloadOutcome, LoadOutcome, UnloadOutcome

_MB, _GB = 10**6, 10**9


def loaded(outcome: LoadOutcome) -> str:
    """Tell whether it had to be loaded, and under which name it is if that is not the model's."""
    if not outcome.load_time_s:
        return _line(f"{outcome.model} was loaded already")
    name = "" if outcome.instance_id == outcome.model else f" as {outcome.instance_id}"
    return _line(f"loaded {outcome.model}{name} in {outcome.load_time_s:.1f} s")


def unloaded(outcome: UnloadOutcome) -> str:
    """Tell which instances are gone."""
    if not outcome.instance_ids:
        return _line(f"nothing to unload: {outcome.model} was not loaded")
    return _line(f"unloaded {', '.join(outcome.instance_ids)}")


def downloaded(outcome: DownloadOutcome) -> str:
    """Tell whether it is there now, and how large it is."""
    size = "" if outcome.size_bytes is None else f" ({_size(outcome.size_bytes)})"
    match outcome.status:
        case "completed":
            return _line(f"downloaded {outcome.model}{size}")
        case "already_downloaded":
            return _line(f"{outcome.model} was downloaded already{size}")
        case status:
            return _line(f"{outcome.model}{size} is not there yet: the download is {status}")


def _size(size_bytes: int) -> str:
    # What would round to 1000 MB is told in GB.
    if size_bytes >= _GB - _MB / 2:
        return f"{size_bytes / _GB:.1f} GB"
    return f"{size_bytes / _MB:.0f} MB"


def _line(text: str) -> str:
    return cell(text) + "\n"
