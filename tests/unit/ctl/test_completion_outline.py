"""The outline that completes words says what the commands take."""

import click
import pytest
from click.shell_completion import ShellComplete
from msgspec.structs import replace

from devsynthctl.completion.outline import CommandOutline, ParamType, command, read_outline
from devsynthctl.completion.survey import survey
from devsynthctl.completion.values import BY_PLACE, type_of
from devsynthctl.parameter_keys import KEYS


def places(command: click.Command, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the path and the name of every parameter of *command*, and of those below it."""
    found = {(*path, each.name or "") for each in command.params}
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            found |= places(below, (*path, name))
    return found


def click_decides(_path: tuple[str, ...], _name: str) -> ParamType | None:
    return None


def without_help(outline: CommandOutline) -> CommandOutline:
    """Return *outline* without what click adds itself, by its version and by who asked first."""
    params = tuple(each for each in outline.params if "--help" not in each.opts)
    below = outline.commands and {
        name: without_help(each) for name, each in outline.commands.items()
    }
    return replace(outline, params=params, commands=below)


def test_the_outline_is_that_of_the_commands() -> None:
    outlines = [without_help(each) for each in (read_outline(), survey())]
    assert outlines[0] == outlines[1], "write it anew: python -m devsynthctl.completion.survey"


def test_all_that_completes_by_place_completes_something_that_there_is() -> None:
    assert set(BY_PLACE) <= places(command(read_outline(), click_decides))


def test_the_parameters_of_an_answer_are_those_that_are_taken() -> None:
    outline = command(read_outline(), type_of)
    offered = ShellComplete(outline, {}, "devsynthctl", "").get_completions(["generate", "-o"], "")
    assert [each.value for each in offered] == [f"{key}=" for key in KEYS]


@pytest.mark.parametrize(
    ("args", "begun", "found"),
    [
        ([], "mod", ["models"]),
        (["models"], "--re", ["--refresh"]),
        (["models", "--kind"], "", ["llm", "embedding"]),
        (["config"], "uns", ["unset"]),
        (["config", "unset"], "llm_mo", ["llm_model"]),
        (["config", "--key"], "llm_mo", ["llm_model"]),
        (["config", "set"], "llm_mo", ["llm_model"]),
        (["config", "set", "llm_provider"], "o", ["openai"]),
        (["config", "set", "llm_auto_select_model"], "", ["true", "false"]),
        (["config", "set", "llm_max_tokens"], "", []),
        (["config", "set", "no_such_key"], "", []),
        (["config", "set", "llm_provider", "openai"], "", []),
        (["events"], "re", ["requests"]),
        (["events", "log"], "con", ["config"]),
        (["generate", "-5"], "", []),
        (["generate", "-o"], "top", ["top_p=", "top_k="]),
        (["generate", "-o", "seed=1", "--option"], "see", ["seed="]),
        (["generate", "-o"], "seed=1", []),
    ],
)
def test_what_completes_a_word(args: list[str], begun: str, found: list[str]) -> None:
    outline = command(read_outline(), type_of)
    words = ShellComplete(outline, {}, "devsynthctl", "").get_completions(args, begun)
    assert [each.value for each in words] == found
