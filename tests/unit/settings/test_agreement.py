"""All that is derived from the schema agrees with what the daemon takes, tells and does."""

import json
import math
import re
import tomllib
from collections.abc import Iterator

import click
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import inspect

from devsynthctl.commands.generation import generate
from devsynthd.command import command
from devsynthd.settings.document import given_by_toml
from devsynthd.settings.editor_schema import file_schema
from devsynthd.settings.report import setting_infos
from devsynthd.settings.schema import BY_KEY, SETTINGS, TABLES, Setting, Settings
from devsynthd.settings.sources import Given, combine
from devsynthd.settings.template import default_file
from devsynthd.settings.values import NotAllowed, check_value
from devsynthd.wire.requests import Generate
from tests.unit.settings.test_base_url import BAD, GOOD

EDITOR = Draft202012Validator(file_schema())

UNCOMMENTED = re.sub(r"^# (\w+ = )", r"\1", default_file(), flags=re.MULTILINE)

WRONG_TYPES = [None, True, False, 0, 1, 0.5, "", "1", "true", [], [1], {}, {"x": 1}]
HUGE = [math.inf, -math.inf, 1e308, 10**400, -(10**400)]
CHARACTERS = [
    "\0",
    "\t",
    "\n",
    "\x1f",
    " ",
    "!",
    "~",
    "\x7f",
    "\x80",
    "\x9f",
    "\xa0",
    "é",
    "字",
    "😀",
]
PORT_TOO_LARGE = "http://host:65536"
"""Of the addresses in the tables the only one that editors take and the daemon refuses."""

OPTIONS = [
    (command, "--log-level", "daemon_log_level"),
    (command, "--log-format", "daemon_log_format"),
    (generate, "--model", "llm_model"),
    (generate, "--max-tokens", "llm_max_tokens"),
    (generate, "--temperature", "llm_temperature"),
]

every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)


def samples(setting: Setting) -> list[object]:
    """Return values of all kinds for *setting*, among them those on both sides of each limit."""
    urls = [url for url in (*GOOD, *(url for url, _ in BAD)) if url != PORT_TOO_LARGE]
    return [setting.default, *edges(type_of(setting)), *urls, *WRONG_TYPES, *HUGE]


def type_of(setting: Setting) -> inspect.Type:
    (field,) = (each for each in fields_of(Settings) if each.name == setting.key)
    return bare(field.type)


def fields_of(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info.fields


def bare(type_: inspect.Type) -> inspect.Type:
    return type_.type if isinstance(type_, inspect.Metadata) else type_


def edges(type_: inspect.Type) -> Iterator[object]:
    match type_:
        case inspect.LiteralType(values=choices):
            yield from choices
            yield from (f"{choice} " for choice in choices)
            yield from (str(choice).upper() for choice in choices)
        case inspect.IntType(ge=int(least), le=int(most)):
            yield from (least - 1, least, least + 1, most - 1, most, most + 1)
            yield from (float(least), least + 0.5, float(most))
        case inspect.FloatType(gt=above, ge=least, le=int(most)):
            start = least if above is None else above
            assert start is not None
            yield from (start - 1, math.nextafter(start, -1), start, math.nextafter(start, 1))
            yield from (most, math.nextafter(most, 0), math.nextafter(most, math.inf), most + 1)
        case inspect.StrType(max_length=int(longest)):
            yield from ("x" * longest, "x" * (longest + 1))
            # A URL has the only text that needs a start, and it is no worse for the others.
            start_of_url = "http://h/"
            yield start_of_url + "x" * (longest - len(start_of_url))
            yield start_of_url + "x" * (longest - len(start_of_url) + 1)
            for character in CHARACTERS:
                yield from (character, f"http://h/{character}", f"http://h/{character}x")
        case _:
            assert isinstance(type_, inspect.BoolType)


def daemon_takes(setting: Setting, value: object) -> bool:
    try:
        check_value(setting, value)
    except NotAllowed:
        return False
    return True


def editor_takes(setting: Setting, value: object) -> bool:
    return EDITOR.is_valid({setting.table: {setting.name: value}})


@every_setting
def test_editors_take_what_the_daemon_takes_and_refuse_what_it_refuses(setting: Setting) -> None:
    verdicts = [
        (value, daemon_takes(setting, value), editor_takes(setting, value))
        for value in samples(setting)
    ]

    assert [each for each in verdicts if each[1] is not each[2]] == []
    assert {taken for _, taken, _ in verdicts} == {True, False}


@given(
    st.sampled_from([setting for setting in SETTINGS if setting.key != "llm_api_base"]),
    st.integers() | st.floats(allow_nan=False) | st.text() | st.text("a~ \n\x7f", max_size=3),
)
def test_editors_and_the_daemon_agree_on_any_value(setting: Setting, value: object) -> None:
    assert editor_takes(setting, value) is daemon_takes(setting, value)


@given(
    st.sampled_from(["http://", "HTTPS://", "ftp://", ""]),
    st.sampled_from(["[::1]", "[fe80::1%en0]", "[::", "[x]"])
    | st.text("aé1.-_%*@:?#\\\n ", max_size=6),
    st.sampled_from(["", ":", ":0", ":080", ":65535", ":65536", ":x"]),
    st.sampled_from(["", "/", "/v1/", "/~me/@team", "/é%20", "/a b", "/\n", "?", "#"]),
)
def test_editors_refuse_no_address_that_the_daemon_takes(
    scheme: str, host: str, port: str, path: str
) -> None:
    setting, url = BY_KEY["llm_api_base"], f"{scheme}{host}{port}{path}"

    assert editor_takes(setting, url) or not daemon_takes(setting, url)


def test_a_port_that_is_too_large_is_for_the_daemon_to_find() -> None:
    assert editor_takes(BY_KEY["llm_api_base"], PORT_TOO_LARGE)
    assert not daemon_takes(BY_KEY["llm_api_base"], PORT_TOO_LARGE)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("[llm]\n[daemon]\n[embedded]", True),
        ("llm.max_tokens = 7", True),
        (default_file(), True),
        (UNCOMMENTED, True),
        ('[llm]\nmodle = "m"', False),
        ('[llm]\nllm_model = "m"', False),
        ('llm_model = "m"', False),
        ("[llm.model]\nx = 1", False),
        ("[llm.extra]", False),
        ("[server]", False),
        ("llm = 3", False),
        ("[[llm]]", False),
    ],
)
def test_editors_and_the_daemon_agree_on_a_whole_file(text: str, *, taken: bool) -> None:
    assert EDITOR.is_valid(tomllib.loads(text)) is taken
    assert (given_by_toml(text.encode(), "F").errors == ()) is taken


def test_the_json_schema_is_a_valid_one_and_is_json() -> None:
    schema = file_schema()

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert json.loads(json.dumps(schema)) == schema


def test_the_patterns_of_the_json_schema_have_no_surrogates() -> None:
    """The editors that check TOML are written in Rust, and drop the whole schema for one."""
    assert "ud800" in json.dumps(msgspec.json.schema(Settings))
    assert "ud800" not in json.dumps(file_schema())


def test_the_json_schema_tells_each_setting_in_the_order_of_the_file() -> None:
    tables = file_schema()["properties"]
    told = [
        (table, name, field["description"], field["default"], tuple(field.get("enum", ())))
        for table, content in tables.items()
        for name, field in content["properties"].items()
    ]

    assert tuple(tables) == TABLES
    assert told == [(s.table, s.name, s.help, s.default, s.choices) for s in SETTINGS]
    types = {"text": "string", "choice": "string"}
    for setting in SETTINGS:
        field = tables[setting.table]["properties"][setting.name]
        assert field["type"] == types.get(setting.kind, setting.kind)


def test_the_default_file_sets_nothing() -> None:
    assert given_by_toml(default_file().encode(), "F") == Given()


def test_the_default_file_shows_the_default_of_each_setting() -> None:
    shown = given_by_toml(UNCOMMENTED.encode(), "F")

    assert shown == Given(values=msgspec.structs.asdict(Settings()))


@every_setting
def test_the_default_file_tells_each_setting_right_above_its_line(setting: Setting) -> None:
    _, _, table = default_file().partition(f"\n[{setting.table}]\n\n")
    paragraphs = [paragraph.splitlines() for paragraph in table.split("\n\n")]
    lines = next(each for each in paragraphs if each[-1].startswith(f"# {setting.name} = "))

    text = " ".join(line.removeprefix("# ") for line in lines[:-1])
    assert text.startswith(setting.help)
    assert ("private" in text.removeprefix(setting.help)) is setting.secret


@pytest.mark.parametrize(("command", "option", "key"), OPTIONS)
def test_help_tells_what_the_schema_tells(command: click.Command, option: str, key: str) -> None:
    result = CliRunner().invoke(command, ["--help"], terminal_width=1000)

    (line,) = (line for line in result.output.splitlines() if f"{option} " in line)
    assert re.split(r"  +", line.strip())[1:] == [BY_KEY[key].help]


@every_setting
def test_the_help_of_a_setting_says_what_it_does_takes_and_when(setting: Setting) -> None:
    assert setting.description in setting.help
    assert f"Takes {setting.limits}." in setting.help
    assert ("in force when the engine is idle" in setting.help) is (setting.in_force != "at once")


def test_the_environment_names_are_the_keys() -> None:
    assert [each.env for each in SETTINGS] == [
        f"DEVSYNTH_{key.upper()}" for key in Settings.__struct_fields__
    ]


def test_clients_are_told_each_setting_in_the_order_of_the_file() -> None:
    loaded = combine(flags=Given(), environment=Given(), file=None)

    assert [
        (info.key, info.value, info.source, info.default, info.description, info.secret)
        for info in setting_infos(loaded)
    ] == [(s.key, s.default, "default", s.default, s.description, s.secret) for s in SETTINGS]


@pytest.mark.parametrize(
    ("field", "key"), [("max_tokens", "llm_max_tokens"), ("temperature", "llm_temperature")]
)
def test_a_request_takes_what_its_setting_takes(field: str, key: str) -> None:
    """The wire knows no settings, so it says its limits itself."""
    setting = BY_KEY[key]
    numbers = [value for value in edges(type_of(setting)) if value != 0 or field != "max_tokens"]

    verdicts = [(value, request_takes(field, value)) for value in numbers]

    assert verdicts == [(value, daemon_takes(setting, value)) for value in numbers]


def request_takes(field: str, value: object) -> bool:
    try:
        msgspec.convert({"op": "generate", "id": 1, "prompt": "x", field: value}, Generate)
    except msgspec.ValidationError:
        return False
    return True
