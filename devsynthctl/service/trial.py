"""Has the daemon of a service check its settings, before one that runs is ended for it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from devsynthctl.exits import EXIT_STATUS
from devsynthctl.service.errors import ServiceError
from devsynthctl.service.runner import Runner

_PROGRAM = "devsynthd"
_CONFIG = EXIT_STATUS["config_invalid"]


def refuse_bad_settings(
    command: Sequence[str], environ: Mapping[str, str], mend_of: Callable[[str], str]
) -> None:
    """Make sure that the daemon that *command* runs would start with the variables *environ*.

    *mend_of* returns what mends settings that are refused for a reason. Whatever else keeps the
    daemon from being tried says nothing of its settings, and passes.

    Raises:
        ServiceError: It would not, and why.
    """
    if not _is_daemon(command):
        return
    done = Runner(environ).run([*command, "--check"], folder=Path("/"))
    if done.status != _CONFIG:
        return
    told = [line.removeprefix(f"{_PROGRAM}: ") for line in done.stderr.splitlines()]
    reasons = [line for line in told if line and not line.startswith("hint: ")]
    raise ServiceError(
        "the daemon would not start with its settings; nothing was changed:\n" + "\n".join(reasons),
        hint=f"mend it: {mend_of(reasons[0] if reasons else '')}",
    )


def _is_daemon(command: Sequence[str]) -> bool:
    """Return whether *command* is one that knows ``--check``, and not a person's own script."""
    if any("%" in word or "$" in word for word in command):  # which only systemd resolves
        return False
    is_module = "-m" in command and _PROGRAM in command
    return bool(command) and (Path(command[0]).name == _PROGRAM or is_module)
