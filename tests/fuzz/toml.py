"""Config files as people and programs leave them: right, nearly right, and torn."""

import json
from typing import Any

from hypothesis import strategies as st

from devsynthd.settings.schema import BY_KEY, TABLES, Settings
from devsynthd.settings.values import NotAllowed, check_value
from devsynthd.wire.requests import Value
from tests.fuzz.damage import torn
from tests.fuzz.shapes import NUMBERS, TEXTS, Hints, fields_of, mostly

_HINTS: Hints = {
    "llm_api_base": st.sampled_from(["http://127.0.0.1:1", "https://[::1]/v1", "ftp://x", ""]),
    "llm_api_key": st.sampled_from(["", "sk-secret", "two words", "\u00e9"]),
    "llm_ca_bundle": st.sampled_from(["", "/dev/null", "none.pem", "\0"]),
    "embedded_model_path": st.sampled_from(["", "/dev/null", "none.gguf"]),
}
VALUES: st.SearchStrategy[dict[str, Any]] = fields_of(Settings, _HINTS)
"""Some settings, of their types; texts may be out of their limits all the same."""

_BLANKS = st.sampled_from(["", " ", "\t", "  "])
_NOTES = st.sampled_from(["", "# note", "#model = 'a'", "# [llm]", "# max_tokens = 1 # 2", " #"])
_ODD = st.one_of(TEXTS, NUMBERS, st.booleans())
_TENTHS = st.integers(0, 9)
_ODD_LINES = st.sampled_from(
    [
        *("[llm", "[llm]]", "[[llm]]", "[llm]", "['llm']", "[daemon.x]", "[]", "[x]", "= 1", "a"),
        *("model =", "model = '", "model = '''", 'model = """', "model = [", "model = {", "}", "]"),
        *("llm = 3", "llm.model = 1", "llm.model.x = 1", "llm = {}", "llm = {model = 'a',}"),
        *("max_tokens = 0x10", "max_tokens = 1_0", "max_tokens = +1", "max_tokens = 1e3", "a.b=1"),
        *("temperature = nan", "temperature = inf", "temperature = 1979-05-27", "temperature = -0"),
        *(
            "'' = 1",
            '"\\u0000" = 1',
            "model = '\x7f'",
            "\ufeff",
            "\u2028",
            "\0",
            "x = " + "[" * 200,
        ),
        *("x = " + "9" * 5000, "y" * 300, "# " + "z" * 300, "\r", "\\"),
    ]
)


@st.composite
def _lines(draw: st.DrawFn) -> list[str]:
    values = draw(VALUES)
    lines = draw(st.lists(_NOTES, max_size=2))
    for table in draw(st.permutations(TABLES)):
        mine = [key for key in values if BY_KEY[key].table == table]
        prefix = draw(st.sampled_from(["", f"{table}."])) if mine else ""
        if not prefix and (mine or draw(st.booleans())):
            lines.append(
                draw(st.sampled_from([f"[{table}]", f"[ '{table}' ]", f"  [{table}] # t"]))
            )
        for key in mine:
            blanks, note = draw(_BLANKS), draw(_NOTES)
            value = _written(values[key], draw(_ODD), draw(_TENTHS))
            lines.append(f"{blanks}{prefix}{BY_KEY[key].name}{blanks}={blanks}{value} {note}")
            lines += draw(st.lists(_NOTES, max_size=1))
    return lines


def _written(value: object, odd: object, tenth: int) -> str:
    """Return *value* in TOML, in one of its forms, or *odd* in its place."""
    text = json.dumps(odd if tenth == 0 else value, ensure_ascii=False)
    return f'""{text}""' if text.startswith('"') and tenth > 6 else text


@st.composite
def _texts(draw: st.DrawFn) -> bytes:
    lines = draw(_lines())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(lines)))
        match draw(st.sampled_from(["odd", "remove", "twice", "move"])):
            case "remove":
                del lines[place : place + 1]
            case "twice":
                lines[place:place] = lines[place : place + 1]
            case "move" if place < len(lines):
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case _:
                lines.insert(place, draw(_ODD_LINES))
    newline = draw(mostly(st.just("\n"), st.sampled_from(["\r\n", "\r"])))
    mark, end = draw(mostly(st.just(""), st.just("\ufeff"))), draw(st.sampled_from(["", newline]))
    return (mark + newline.join(lines) + end).encode()


FILES: st.SearchStrategy[bytes] = mostly(torn(_texts()), st.binary(max_size=60), tenths=9)
"""What a config file may hold."""


_WITH = {key: fields_of(Settings, _HINTS, always=(key,)) for key in BY_KEY}


@st.composite
def _edits(draw: st.DrawFn) -> tuple[str, Value | None]:
    key = draw(st.sampled_from(sorted(BY_KEY)))
    setting = BY_KEY[key]
    value = draw(_WITH[key])[key]
    try:
        return key, draw(st.sampled_from([check_value(setting, value), None]))
    except NotAllowed:
        return key, setting.default


EDITS: st.SearchStrategy[tuple[str, Value | None]] = _edits()
"""The key of a setting and what is to be written for it, which is allowed; null: nothing."""
