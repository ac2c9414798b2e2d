"""What completes a value that click does not know of: models, settings, topics, files."""

from collections.abc import Callable, Iterable, Sequence
from typing import get_args

import click
from click.shell_completion import CompletionItem

from devsynthctl.completion.outline import Item, ParamType
from devsynthctl.parameter_keys import KEYS
from devsynthctl.render.text import cell
from devsynthd.catalog.cache_file import newest_models
from devsynthd.host.paths import cache_dir
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.objects import Model
from devsynthd.wire.requests import Topic

Found = list[Item]


class Values(ParamType):
    """Completes with what *find* returns and begins like the word so far."""

    name = "values"

    def __init__(self, find: Callable[[click.Context], Iterable[Item]]) -> None:
        self._find = find

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> Found:
        """Return the values that begin with *incomplete*."""
        return [each for each in self._find(ctx) if each.value.startswith(incomplete)]


def _known_models() -> Sequence[Model]:
    """Return the models of the last list that the daemon has kept; it is not asked."""
    try:
        return newest_models(cache_dir())
    except ConfigInvalid:  # there is no home, so there is no cache
        return ()


def _ids(*kinds: str) -> Values:
    """Return what completes the ids of the models of one of *kinds*."""

    def find(_ctx: click.Context) -> Iterable[Item]:
        ids = (each.id for each in _known_models() if each.kind in kinds)
        # A line break or an escape sequence in an id would not reach the shell whole.
        return [CompletionItem(each) for each in ids if each == cell(each)]

    return Values(find)


def _settings(ctx: click.Context) -> Iterable[Item]:
    from devsynthd.settings.schema import BY_KEY, SETTINGS  # noqa: PLC0415 - slow

    if not (words := ctx.params.get("words")):
        return [CompletionItem(each.key, help=each.help) for each in SETTINGS]
    # `config set KEY VALUE`: what stands behind the key is its value.
    setting = BY_KEY.get(words[0])
    if len(words) > 1 or setting is None:
        return ()
    if setting.key == "llm_model":
        return (CompletionItem(each.id) for each in _known_models() if each.kind in CHAT)
    return map(CompletionItem, _BOOLEANS if setting.kind == "boolean" else setting.choices)


def _topics(_ctx: click.Context) -> Iterable[Item]:
    return map(CompletionItem, get_args(Topic))


def _parameters(_ctx: click.Context) -> Iterable[Item]:
    return (CompletionItem(f"{key}=") for key in KEYS)


CHAT = ("llm", "unknown")
EMBEDDING = ("embedding", "unknown")
_BOOLEANS = ("true", "false")

BY_PLACE: dict[tuple[str, ...], ParamType] = {
    ("select", "model"): _ids(*CHAT),
    ("generate", "model"): _ids(*CHAT),
    ("generate", "parameters"): Values(_parameters),
    ("generate", "schema"): click.Path(),
    ("chat", "model"): _ids(*CHAT),
    ("embed", "model"): _ids(*EMBEDDING),
    ("load", "model"): _ids(*CHAT, *EMBEDDING),
    ("unload", "model"): _ids(*CHAT, *EMBEDDING),
    ("config", "key"): Values(_settings),
    ("config", "get", "key"): Values(_settings),
    ("config", "set", "words"): Values(_settings),
    ("config", "unset", "key"): Values(_settings),
    ("events", "topics"): Values(_topics),
    ("socket",): click.Path(),
}
"""What completes a parameter, by the path of its command and its name."""


def type_of(path: tuple[str, ...], name: str) -> ParamType | None:
    """Return what completes the parameter *name* of the command at *path*; null: click knows."""
    return BY_PLACE.get((*path, name))
