"""What the options of several commands have in common."""

import re
from difflib import get_close_matches

import click

from devsynthctl.app import App

_MAX_SECONDS = 1e9  # the protocol's limit


def seconds(text: str) -> float:
    """Return the number of seconds in *text*; an option's type."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if 0 <= number <= _MAX_SECONDS:
        return number
    raise ValueError(f"{text!r} is not a number of seconds")


def positive_seconds(text: str) -> float:
    """Return the same, but not 0."""
    if number := seconds(text):
        return number
    raise ValueError("it has to be above 0")


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
        rest = super().parse_args(ctx, args)
        text = next(each.name for each in self.params if isinstance(each, click.Argument))
        words = ctx.params[text or ""]
        for word in words[: len(words) - len(after)]:
            if not word.startswith("-") or word == "-":
                continue
            # Of `-n5` the parser takes the -n: what is left was never typed.
            if word not in before or not self._NUMBER_LIKE.match(word):
                raise self._no_such_option(word, ctx)
        return rest

    def _no_such_option(self, word: str, ctx: click.Context) -> click.UsageError:
        known = [name for param in self.get_params(ctx) for name in param.opts]
        near = get_close_matches(word.partition("=")[0], known, n=1)
        return click.UsageError(
            f"no such option: {word} ("
            + (f"did you mean {near[0]}? " if near else "")
            + "text that starts with a dash goes behind --)",
            ctx,
        )
