"""Options that stand in for settings."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from devsynthctl.commands.generation import generate
from devsynthctl.options import setting_option
from devsynthd.settings.schema import BY_KEY


@click.command()
@setting_option("-t", "--temperature", key="llm_temperature", metavar="T")
@setting_option("--max-tokens", key="llm_max_tokens", metavar="N")
def command(**given: object) -> None:
    click.echo(given)


@pytest.mark.parametrize(
    ("args", "given"),
    [
        ([], {"temperature": None, "max_tokens": None}),
        (["-t", "1", "--max-tokens", "-1"], {"temperature": 1.0, "max_tokens": -1}),
        (["--temperature", ".5", "--max-tokens=4.0"], {"temperature": 0.5, "max_tokens": 4}),
        (["-t2", "--max-tokens", "2147483647"], {"temperature": 2.0, "max_tokens": 2**31 - 1}),
    ],
)
def test_an_option_is_read_like_a_variable(args: list[str], given: dict[str, object]) -> None:
    result = CliRunner().invoke(command, args)

    assert result.output == f"{given}\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--max-tokens", "0"], "--max-tokens = '0' is not allowed: 0 tokens are no answer; it"),
        (["--max-tokens", "-2"], "--max-tokens = '-2' is not allowed: it takes an integer from 1"),
        (["--max-tokens", "1099511627776"], "it takes an integer from 1 to 2147483647, or -1"),
        (["--max-tokens", ""], "--max-tokens = '' is not allowed: it takes an integer"),
        (["-t", "2.1"], "--temperature = '2.1' is not allowed: it takes a number from 0 to 2"),
        (["-t", "nan"], "--temperature = 'nan' is not allowed: it takes a number from 0 to 2"),
        (["-t", "hot"], "--temperature = 'hot' is not allowed: it takes a number from 0 to 2"),
    ],
)
@pytest.mark.parametrize("command", [command, generate])
def test_what_a_setting_refuses_is_wrong_usage(
    command: click.Command, args: list[str], told: str
) -> None:
    args = ["--temperature" if arg == "-t" else arg for arg in args]

    result = CliRunner().invoke(command, args)

    assert result.exit_code == 2
    assert told in result.stderr


def test_an_option_has_the_help_of_its_setting() -> None:
    (param, _) = command.params

    assert isinstance(param, click.Option)
    assert param.help == BY_KEY["llm_temperature"].help


@pytest.mark.parametrize(("module", "pays"), [("models", False), ("generation", True)])
def test_only_commands_with_such_options_import_the_settings(module: str, *, pays: bool) -> None:
    script = (
        f"import sys, devsynthctl.cli, devsynthctl.commands.{module}\n"
        "print('devsynthd.settings.schema' in sys.modules)"
    )

    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert process.stdout == f"{pays}\n"
