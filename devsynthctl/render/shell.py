"""Where the variables of this shell differ from what the daemon has in force. Pure."""

from collections.abc import Iterable, Mapping

from devsynthd.settings.schema import BY_KEY
from devsynthd.settings.sources import Given, given_by_environment
from devsynthd.settings.values import show_value
from devsynthd.wire.objects import SettingInfo
from devsynthd.wire.requests import Value

SENT_BY_COMMANDS = ("llm_model", "llm_max_tokens", "llm_temperature")
"""The settings that ``generate`` and ``chat`` send from the shell they run in."""


def shell_differences(environ: Mapping[str, str], infos: Iterable[SettingInfo]) -> tuple[str, ...]:
    """Return a line for each variable of ours in *environ* that the daemon does not follow.

    *infos* is what the daemon has in force. Variables that no setting has, and values that none
    takes, are told too. Of a secret only that it is set: it cannot be compared.
    """
    shell = given_by_environment(environ)
    differing = filter(None, (shell_difference(shell, info) for info in infos))
    wrong = [f"this shell's variable is of no use: {error}" for error in shell.errors]
    return (*differing, *wrong, *shell.warnings)


def shell_difference(shell: Given, info: SettingInfo) -> str | None:
    """Return a line if what *shell*, its environment, gives is not what *info* tells; else null."""
    value = shell.values.get(info.key)
    if value is None or (info.value == value and not info.secret):
        return None
    return _difference(info, value)


def _difference(info: SettingInfo, value: Value) -> str:
    setting = BY_KEY[info.key]
    if info.secret and info.value:
        return (
            f"this shell has {setting.env}; whether that is what is in force in the daemon "
            f"({info.source}) cannot be told: it is a secret"
        )
    # Where a flag or a selection has the last word, the daemon may well see the variable too.
    unseen = "" if info.source in ("flag", "selected") else ", which the daemon does not see"
    now = "none" if info.secret else f"{show_value(setting, info.value)} ({info.source})"
    shell = setting.env if info.secret else f"{setting.env} = {show_value(setting, value)}"
    line = f"this shell has {shell}{unseen}: {now} is in force there"
    if info.key in SENT_BY_COMMANDS:
        line += "; `devsynthctl generate` and `chat` send the shell's"
    return line
