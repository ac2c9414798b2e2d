"""What the options of several commands have in common."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from devsynthctl.app import App
from devsynthd.wire.requests import Value

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)

_MAX_SECONDS = 1e9  # the protocol's limit


def seconds(text: str) -> float:
    """Return the number of seconds in *text*; an option's type."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if 0 <= number <= _MAX_SECONDS:
        return number
    raise click.BadParameter(f"{text!r} is not a number of seconds")


def positive_seconds(text: str) -> float:
    """Return the same, but not 0."""
    if number := seconds(text):
        return number
    raise click.BadParameter("it has to be above 0")


def text(given: str) -> str:
    """Return *given*, which is to be sent; an option's or an argument's type."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8 text: check the terminal's locale") from None
    return given


def _set_json(ctx: click.Context, _param: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click passes it so
    if given:
        ctx.ensure_object(App).as_json = True


as_json = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_json,
    help="Write the daemon's result as one JSON object.",
)
"""The option ``--json``, taken before and after the name of a command."""


def _set_timeout(ctx: click.Context, _param: click.Parameter, given: float | None) -> None:
    if given is not None:
        ctx.ensure_object(App).timeout_s = given


ends_after = click.option(
    "--timeout",
    type=positive_seconds,
    metavar="S",
    expose_value=False,
    callback=_set_timeout,
    help="End after S seconds.",
)
"""The option ``--timeout`` of commands that watch, taken before and after their names."""

system = click.option(
    "-s", "--system", type=text, metavar="SYSTEM", help="The system message, put first."
)
"""The option of whatever has a conversation answered."""

context = click.option(
    "-c",
    "--context",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A JSON file with a list of messages, put before what is asked.",
)
"""The option for what was said before."""


def setting_option(*names: str, key: str, metavar: str) -> Callable[[_Command], _Command]:
    """Return an option that stands in for the setting *key*: with its help and its limits."""
    # Slow to import, so only for the commands that have such an option.
    from devsynthd.settings.schema import BY_KEY  # noqa: PLC0415 - see above
    from devsynthd.settings.values import (  # noqa: PLC0415 - see above
        NotAllowed,
        parse_value,
        refusal,
    )

    setting = BY_KEY[key]

    def parse(_ctx: click.Context, param: click.Parameter, text: str | None) -> Value | None:
        if text is None:
            return None
        try:
            return parse_value(setting, text)
        except NotAllowed as exc:
            raise click.UsageError(refusal(setting, param.opts[-1], text, exc)) from exc

    return click.option(*names, metavar=metavar, callback=parse, help=setting.help)


class TextCommand(click.Command):
    """A command whose last argument is free text: ``-5`` is a word of it, ``--modle`` is not.

    Words that start with a dash are text if a number follows it, or behind ``--``.
    """

    _NUMBER_LIKE = re.compile(r"-[0-9.]")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*, unknown options as text, and refuse those that do not look like it."""
        ctx.ignore_unknown_options = True
        split = args.index("--") if "--" in args else len(args)
        before, after = args[:split], args[split + 1 :]
        text = next(each.name for each in self.params if isinstance(each, click.Argument))
        # Beforehand: of `-wh` the parser takes the -h, and would print the help.
        given, _, _ = self.make_parser(ctx).parse_args([*args])
        found = given.get(text or "")
        words = found if isinstance(found, tuple) else ()  # else there are none
        for word in words[: len(words) - len(after)]:
            if not word.startswith("-") or word == "-":
                continue
            # Of `-n5` the parser takes the -n: what is left was never typed.
            if word not in before or not self._NUMBER_LIKE.match(word):
                raise self._no_such_option(word, ctx)
        return super().parse_args(ctx, args)

    def _no_such_option(self, word: str, ctx: click.Context) -> click.UsageError:
        known = [name for param in self.get_params(ctx) for name in param.opts]
        from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

        near = get_close_matches(word.partition("=")[0], known, n=1)
        return click.UsageError(
            f"no such option: {word} ("
            + (f"did you mean {near[0]}? " if near else "")
            + "text that starts with a dash goes behind --)",
            ctx,
        )
