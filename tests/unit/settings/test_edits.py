import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from devsynthd.settings.document import given_by_toml
from devsynthd.settings.edits import edited
from devsynthd.settings.schema import BY_KEY, TABLES
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value

Edits = Mapping[str, Value | None]

SHOWN = """\
# devsynthd's settings.

[llm]
# The model that answers.
# model = ""

# How long an answer gets.
#max_tokens = 1024

# About the daemon.
[daemon]
# queue_limit = 64
"""

# What is written: text, edits, the text after them.
WRITTEN: dict[str, tuple[str, Edits, str]] = {
    "an empty file": ("", {"llm_model": "m"}, '[llm]\nmodel = "m"\n'),
    "a blank line": ("\n", {"llm_model": "m"}, '\n[llm]\nmodel = "m"\n'),
    "comments only": ("# a\n", {"llm_model": "m"}, '# a\n\n[llm]\nmodel = "m"\n'),
    "another table": (
        "[daemon]\nqueue_limit = 3 # c\n",
        {"llm_model": "m"},
        '[daemon]\nqueue_limit = 3 # c\n\n[llm]\nmodel = "m"\n',
    ),
    "a file that ends with a blank line": (
        "[daemon]\n\n",
        {"llm_model": "m"},
        '[daemon]\n\n[llm]\nmodel = "m"\n',
    ),
    "an empty table": (
        "[llm] # c\n\n# d\n[daemon]\n",
        {"llm_model": "m"},
        '[llm] # c\nmodel = "m"\n\n# d\n[daemon]\n',
    ),
    "a table of comments": ("[llm]\n# a\n", {"llm_model": "m"}, '[llm]\nmodel = "m"\n# a\n'),
    "a table with a key, before the comments of the next table": (
        "[llm]\nmax_tokens=1 # c\n\n# about the daemon\n[daemon]\n",
        {"llm_model": "m"},
        '[llm]\nmax_tokens=1 # c\nmodel = "m"\n\n# about the daemon\n[daemon]\n',
    ),
    "an indented table": (
        "  [llm]\n    max_tokens = 1\n",
        {"llm_model": "m", "llm_max_tokens": 2},
        '  [llm]\n    max_tokens = 2\n    model = "m"\n',
    ),
    "an indented empty table": ("\t[llm]\n", {"llm_model": "m"}, '\t[llm]\n\tmodel = "m"\n'),
    "the comment that shows the key": (
        SHOWN,
        {"llm_max_tokens": 7, "llm_model": "m", "daemon_queue_limit": 5},
        SHOWN.replace('# model = ""\n', '# model = ""\nmodel = "m"\n')
        .replace("#max_tokens = 1024\n", "#max_tokens = 1024\nmax_tokens = 7\n")
        .replace("# queue_limit = 64\n", "# queue_limit = 64\nqueue_limit = 5\n"),
    ),
    "the last of the comments that show the key": (
        "[llm]\n# model = \n  # model = 'a'\n# model: a\nmax_tokens = 1\n",
        {"llm_model": "m"},
        "[llm]\n# model = \n  # model = 'a'\n  model = \"m\"\n# model: a\nmax_tokens = 1\n",
    ),
    "a comment that shows the key of another table": (
        "[llm]\nmax_tokens = 1\n# [embedded]\n# idle_timeout = 1\n",
        {"llm_idle_timeout": 5.0},
        "[llm]\nmax_tokens = 1\nidle_timeout = 5\n# [embedded]\n# idle_timeout = 1\n",
    ),
    "a comment that only speaks of the key": (
        "[llm]\nmax_tokens = 1\n\n# as with # model = 1\n",
        {"llm_model": "m"},
        '[llm]\nmax_tokens = 1\nmodel = "m"\n\n# as with # model = 1\n',
    ),
    "no comment, but a string that looks like one": (
        '[llm]\nmodel = """\\\n# max_tokens = 1\\\n"""\n\n[daemon]\n',
        {"llm_max_tokens": 2},
        '[llm]\nmodel = """\\\n# max_tokens = 1\\\n"""\nmax_tokens = 2\n\n[daemon]\n',
    ),
    "dotted keys at the root": (
        "llm.model = 'a' # c\n# d\ndaemon.queue_limit = 1\n  llm . 'max_tokens'=1#e\n[embedded]\n",
        {"llm_model": "b", "llm_max_tokens": 2, "llm_temperature": 0.5, "daemon_log_level": "info"},
        """\
llm.model = "b" # c
# d
daemon.queue_limit = 1
daemon.log_level = "info"
  llm . 'max_tokens'=2#e
  llm.temperature = 0.5
[embedded]
""",
    ),
    "a comment that shows a dotted key": (
        "# llm.model = ''\n# llm.max_tokens = 1\nllm.temperature = 1\n",
        {"llm_model": "m"},
        "# llm.model = ''\nllm.model = \"m\"\n# llm.max_tokens = 1\nllm.temperature = 1\n",
    ),
    "quoted names": (
        "[ 'llm' ]\n\"mo\\u0064el\"='a'# c\n",
        {"llm_model": "b", "llm_max_tokens": 2},
        '[ \'llm\' ]\n"mo\\u0064el"="b"# c\nmax_tokens = 2\n',
    ),
    "a value of several lines": (
        '[llm]\nmodel = """\\\n  a""" # c\nmax_tokens = 1\n',
        {"llm_model": "b"},
        '[llm]\nmodel = "b" # c\nmax_tokens = 1\n',
    ),
    "CRLF": (
        "# a\r\n[llm]\r\nmodel = 'a' # c\r\n\r\n[daemon]\r\n",
        {"llm_model": "b", "llm_max_tokens": 2, "embedded_threads": 3},
        """\
# a
[llm]
model = "b" # c
max_tokens = 2

[daemon]

[embedded]
threads = 3
""".replace("\n", "\r\n"),
    ),
    "dotted keys and CRLF": (
        "llm.model = 'a'\r\n",
        {"llm_max_tokens": 2},
        "llm.model = 'a'\r\nllm.max_tokens = 2\r\n",
    ),
    "a BOM": ("\ufeff[llm]\n", {"llm_model": "m"}, '\ufeff[llm]\nmodel = "m"\n'),
    "a BOM alone": ("\ufeff", {"llm_model": "m"}, '\ufeff[llm]\nmodel = "m"\n'),
    "no newline behind the last key": (
        "[llm]\nmodel = 'a' # c",
        {"llm_max_tokens": 2},
        "[llm]\nmodel = 'a' # c\nmax_tokens = 2",
    ),
    "no newline behind the last key, which changes": (
        "[llm]\r\nmodel = 'a'",
        {"llm_model": "b"},
        '[llm]\r\nmodel = "b"',
    ),
    "no newline behind a header": ("[llm]", {"llm_model": "m"}, '[llm]\nmodel = "m"'),
    "no newline behind another table": (
        "[daemon] # c",
        {"llm_model": "m"},
        '[daemon] # c\n\n[llm]\nmodel = "m"',
    ),
    "spaces behind the last line": (
        "[daemon]\n  ",
        {"daemon_queue_limit": 1},
        "[daemon]\nqueue_limit = 1\n  ",
    ),
    "a value that is not allowed": (
        "[llm]\nmax_tokens = true\n",
        {"llm_max_tokens": 1},
        "[llm]\nmax_tokens = 1\n",
    ),
    "a value of another type": (
        "[llm]\nauto_select_model = 1\n",
        {"llm_auto_select_model": True},
        "[llm]\nauto_select_model = true\n",
    ),
    "a list in place of a value": (
        "[llm]\nmodel = [ # c\n1]\n",
        {"llm_model": "m"},
        '[llm]\nmodel = "m"\n',
    ),
    "a file with other faults": (
        "nope = nan\n[llm]\nx.y = 0x10\nmodel = 'a'\n[other]\n",
        {"llm_model": "b", "llm_max_tokens": 1},
        'nope = nan\n[llm]\nx.y = 0x10\nmodel = "b"\nmax_tokens = 1\n[other]\n',
    ),
    "a table behind its own subtable": (
        "[llm.x]\na = 1\n[daemon]\n[llm]\n# c\n",
        {"llm_model": "m"},
        '[llm.x]\na = 1\n[daemon]\n[llm]\nmodel = "m"\n# c\n',
    ),
    "a table before its own subtable": (
        "[llm]\n# c\n[llm.x]\na = 1\n",
        {"llm_model": "m"},
        '[llm]\nmodel = "m"\n# c\n[llm.x]\na = 1\n',
    ),
}

# What is removed: text, keys, the text after that.
REMOVED: dict[str, tuple[str, list[str], str]] = {
    "a key": ("[llm]\nmodel = 'a'\nmax_tokens = 1\n", ["llm_model"], "[llm]\nmax_tokens = 1\n"),
    "the last key": (
        "[llm] # c\nmodel = 'a'  \n\n[daemon]\n",
        ["llm_model"],
        "[llm] # c\n\n[daemon]\n",
    ),
    "a key with a comment": ("[llm]\n  model = 'a'  # c\n", ["llm_model"], "[llm]\n  # c\n"),
    "a key of several lines": ('[llm]\nmodel = """\\\n a"""\n# c\n', ["llm_model"], "[llm]\n# c\n"),
    "a key at the end, without newline": ("[llm]\r\nmodel = 'a'", ["llm_model"], "[llm]"),
    "dotted keys": (
        "llm.model = 'a' # c\r\ndaemon.queue_limit = 1\r\nllm.max_tokens = 1\r\n# d\r\n",
        ["llm_model", "llm_max_tokens"],
        "# c\r\ndaemon.queue_limit = 1\r\n# d\r\n",
    ),
    "a value that is not allowed": (
        "[llm]\nmax_tokens = nan # c\n",
        ["llm_max_tokens"],
        "[llm]\n# c\n",
    ),
}

# What says so already.
SAME: list[tuple[str, Edits]] = [
    ("", {}),
    ("", {"llm_model": None}),
    ("\ufeff# c\r\n[llm]\r\n#model = 1", {"llm_model": None, "daemon_queue_limit": None}),
    ("[llm]\nmodel = 'm' # c", {"llm_model": "m"}),
    ('[llm]\nmodel = """\\\nm"""', {"llm_model": "m", "llm_max_tokens": None}),
    ("[llm]\nmax_tokens = 1_000.0", {"llm_max_tokens": 1000}),
    ("[llm]\ntemperature = 1", {"llm_temperature": 1.0}),
    ("llm.temperature = 1e0", {"llm_temperature": 1.0}),
    ("llm = { auto_select_model = true }", {"llm_auto_select_model": True}),
    ("llm = 3", {"llm_model": None}),
]

# The spaces in these are tomlkit's choice.
INLINE: list[tuple[str, Edits, str]] = [
    ("llm = {} # c", {"llm_model": "m"}, 'llm={model="m"}#c'),
    ("  llm={ model = 'a' }", {"llm_max_tokens": 2}, "llm={model='a',max_tokens=2}"),
    (
        "llm = { model = 'a', temperature = 1 } # c\n# d\n[daemon]\n",
        {"llm_model": "b", "llm_max_tokens": 2, "llm_idle_timeout": 0.5},
        'llm={model="b",temperature=1,max_tokens=2,idle_timeout=0.5}#c\n#d\n[daemon]\n',
    ),
    ("llm = { model = 'a', temperature = 1 }\n", {"llm_model": None}, "llm={temperature=1}\n"),
    (
        "llm = { model = 'a', temperature = 1, max_tokens = 1 }",
        {"llm_temperature": None},
        "llm={model='a',max_tokens=1}",
    ),
    (
        "llm = { model = 'a', temperature = 1 } # c\r\n",
        {"llm_temperature": None, "llm_model": None},
        "llm={}#c\r\n",
    ),
]

UNEDITABLE: list[tuple[str, Edits]] = [
    ("llm = 3", {"llm_model": "m"}),
    ("[[llm]]", {"llm_model": "m"}),
    ("[llm.model]\nx = 1", {"llm_model": "m"}),
    ("[llm.model]\nx = 1", {"llm_model": None}),
    ("llm.model.x = 1", {"llm_model": "m"}),
    ("llm.model.x = 1", {"llm_model": None}),
]

NOT_TOML = [
    "[llm",
    "[llm]\nmodel = ",
    "[llm]\n[llm]\n",
    "llm.model = 1\n[llm]\n",
    "x = " + "[" * 5000,
]


@pytest.mark.parametrize(("text", "edits", "result"), WRITTEN.values(), ids=WRITTEN)
def test_a_setting_is_written_into(text: str, edits: Edits, result: str) -> None:
    assert edited(text, edits, "F") == result
    assert edited(result, edits, "F") == result


@pytest.mark.parametrize(("text", "keys", "result"), REMOVED.values(), ids=REMOVED)
def test_a_setting_is_removed(text: str, keys: list[str], result: str) -> None:
    assert edited(text, dict.fromkeys(keys), "F") == result
    assert edited(result, dict.fromkeys(keys), "F") == result


@pytest.mark.parametrize(("text", "edits"), SAME)
def test_nothing_changes_where_the_file_says_so_already(text: str, edits: Edits) -> None:
    assert edited(text, edits, "F") == text


@pytest.mark.parametrize(("text", "edits", "result"), INLINE)
def test_an_inline_table_stays_one(text: str, edits: Edits, result: str) -> None:
    assert edited(text, edits, "F").replace(" ", "") == result


def test_some_are_written_while_others_are_removed() -> None:
    text = "[llm]\nmodel = 'a' # c\nmax_tokens = 1\n"

    new = edited(text, {"llm_model": None, "llm_max_tokens": 2, "daemon_queue_limit": 3}, "F")

    assert new == "[llm]\n# c\nmax_tokens = 2\n\n[daemon]\nqueue_limit = 3\n"


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("llm_auto_select_model", False, "false"),
        ("llm_max_tokens", -1, "-1"),
        ("llm_idle_timeout", 300.0, "300"),
        ("llm_temperature", 0.75, "0.75"),
        ("llm_idle_timeout", 1e-9, "1e-09"),
        ("llm_model", 'a "b" \\c', r'"a \"b\" \\c"'),
        ("llm_model", "Müller's 7B\u2028", '"Müller\'s 7B\u2028"'),
        ("llm_model", "# no comment", '"# no comment"'),
    ],
)
def test_a_value_is_written_as_a_person_would(key: str, value: Value, written: str) -> None:
    setting = BY_KEY[key]

    assert edited("", {key: value}, "F") == f"[{setting.table}]\n{setting.name} = {written}\n"


@pytest.mark.parametrize(("text", "edits"), UNEDITABLE)
def test_what_cannot_be_edited_is_refused_with_a_way_out(text: str, edits: Edits) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        edited(text, edits, "F")

    assert str(caught.value).startswith("F cannot be edited automatically\nF, line 1: ")
    assert "devsynthctl config edit" in str(caught.value.hint)


def test_what_tomlkit_would_rearrange_stays_as_it_is() -> None:
    text = "[[llm.x]]\n[[y]]\n[[llm.x]]\n[daemon]\n"
    try:
        new = edited(text, {"daemon_queue_limit": 1}, "F")
    except ConfigInvalid:  # as tomlkit 0.15 needs it
        return
    assert new == text + "queue_limit = 1\n"


def test_a_value_that_nobody_has_checked_is_not_written() -> None:
    with pytest.raises(ConfigInvalid, match=r"^F cannot be edited automatically"):
        edited("", {"llm_max_tokens": 0}, "F")


@pytest.mark.parametrize("text", NOT_TOML)
def test_what_is_not_toml_is_told_as_when_it_is_read(text: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        edited(text, {"llm_model": "m"}, "F")

    assert (str(caught.value),) == given_by_toml(text.encode(), "F").errors


# Any file --------------------------------------------------------------------------------------

LINE = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="§"), max_size=9)
SECONDS = st.floats(1e-9, 1e6) | st.integers(1, 10**6).map(float)
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "llm_provider": st.sampled_from(["lmstudio", "openai", "embedded"]),
    "llm_model": LINE | st.sampled_from(["# model = 1", '"', "\\", "[llm]"]),
    "llm_max_tokens": st.just(-1) | st.integers(1, 10**6),
    "llm_temperature": st.floats(0, 2),
    "llm_auto_select_model": st.booleans(),
    "llm_idle_timeout": SECONDS,
    "daemon_poll_interval": SECONDS,
    "daemon_queue_limit": st.integers(1, 2**31 - 1),
    "daemon_log_level": st.sampled_from(["debug", "info"]),
    "embedded_threads": st.integers(0, 64),
    "embedded_model_path": LINE,
    "embedded_idle_timeout": SECONDS,
}
EDITS = st.fixed_dictionaries({}, optional={k: st.none() | v for k, v in VALUES.items()})
NOTES = st.sampled_from(["", " ", "# §", "  #model = §", "# max_tokens = 7 §", "# [llm] §"])
SPACE = st.sampled_from(["", " ", "  ", "\t"])

Line = tuple[frozenset[str], str]
"""A line, and the keys that it may change with."""


class Source(Struct, frozen=True):
    """A config file: its text, the same in lines, the newline between them, and what it sets."""

    text: str
    lines: list[Line]
    newline: str
    values: dict[str, Value]


def spellings(value: Value) -> list[str]:
    """Return ways that TOML has for *value*."""
    if isinstance(value, bool):
        return [json.dumps(value)]
    if isinstance(value, int):
        return [f"{value}", f"{value:_}", f"{value:+}", f"{value}.0"]
    if isinstance(value, float):
        return [repr(value), f"{value:.17e}"]
    basic = json.dumps(value, ensure_ascii=False)
    ways = [basic, f'""{basic}""']
    if value == value.lstrip():
        ways.append(f'"""\\\n {basic[1:-1]}"""')
    if "'" not in value:
        ways += [f"'{value}'", f"'''\n{value}'''"]
    return ways


@st.composite
def sources(draw: st.DrawFn) -> Source:
    """Return a file with tables in any order and layout, and with comments anywhere."""
    values: dict[str, Value] = draw(st.fixed_dictionaries({}, optional=VALUES))

    def notes() -> list[Line]:
        return [(frozenset(), note) for note in draw(st.lists(NOTES, max_size=2))]

    def name(key: str) -> str:
        bare = BY_KEY[key].name
        return draw(st.sampled_from([bare, f'"{bare}"', f"'{bare}'"]))

    def setting(key: str, name: str) -> list[Line]:
        value = draw(st.sampled_from(spellings(values[key])))
        comment = draw(st.sampled_from(["", "# §", " # model = §"]))
        text = f"{draw(SPACE)}{name}{draw(SPACE)}={draw(SPACE)}{value}{draw(SPACE)}{comment}"
        return [(frozenset({key}), line) for line in text.split("\n")]

    dotted: list[list[Line]] = []
    tables: list[list[Line]] = []
    for table in draw(st.permutations(TABLES)):
        keys = [key for key in values if BY_KEY[key].table == table]
        layout = draw(st.sampled_from(["header", "dotted", "inline"]))
        if layout == "inline" and keys:
            inside = ", ".join(
                f"{name(key)} = {json.dumps(values[key], ensure_ascii=False)}" for key in keys
            )
            line = f"{draw(SPACE)}{table} = {{{inside}}}{draw(SPACE)}# §"
            dotted.append([(keys_of(table), line)])
        elif layout == "dotted" and keys:
            dotted += [setting(key, f"{table}{draw(SPACE)}.{name(key)}") for key in keys]
        elif draw(st.booleans()) or keys:
            header: Line = (frozenset(), f"{draw(SPACE)}[{table}]{draw(SPACE)}# §")
            settings = [line for key in keys for line in [*setting(key, name(key)), *notes()]]
            tables.append([header, *notes(), *settings])
    parts = [part + notes() for part in draw(st.permutations(dotted))]
    lines = notes() + [line for part in parts + tables for line in part]
    lines = [(keys, line.replace("§", f"§{n}.")) for n, (keys, line) in enumerate(lines)]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    end = draw(st.sampled_from(["", newline]))
    text = newline.join(line for _, line in lines) + end
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return Source(bom + text, lines, newline if newline in text else "\n", values)


def keys_of(table: str) -> frozenset[str]:
    return frozenset(key for key in BY_KEY if BY_KEY[key].table == table)


def settings_in(text: str) -> Mapping[str, Value]:
    found = given_by_toml(text.encode(), "F")
    assert not found.errors
    return found.values


@settings(deadline=None)  # a busy machine is no fault
@given(sources(), EDITS)
def test_whatever_the_file_exactly_the_wanted_settings_change(source: Source, edits: Edits) -> None:
    wanted = {**source.values, **edits}
    changed = {key for key in edits if edits[key] != source.values.get(key)}
    assert settings_in(source.text) == source.values

    new = edited(source.text, edits, "F")

    assert settings_in(new) == {key: value for key, value in wanted.items() if value is not None}
    assert re.findall("§[0-9]+", new) == re.findall("§[0-9]+", source.text)
    assert edited(new, edits, "F") == new
    assert changed or new == source.text
    assert new.count("\n") == new.count(source.newline)
    assert new.startswith("\ufeff") == source.text.startswith("\ufeff")
    lines = iter(new.removeprefix("\ufeff").split(source.newline))
    for keys, line in source.lines:
        assert keys & changed or line in lines, (line, new)


@settings(deadline=None)  # a busy machine is no fault
@given(sources(), EDITS)
def test_what_is_added_and_removed_again_leaves_no_trace(source: Source, edits: Edits) -> None:
    inline = {key for keys, _ in source.lines if len(keys) > 1 for key in keys}
    tables = {BY_KEY[key].table for key in source.values if key not in inline}
    added = {
        key: value
        for key, value in edits.items()
        if key not in source.values and BY_KEY[key].table in tables
    }

    new = edited(source.text, added, "F")

    assert edited(new, dict.fromkeys(added), "F") == source.text
