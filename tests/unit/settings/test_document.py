import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.settings.document import MAX_ERRORS, given_by_toml
from devsynthd.settings.sources import Given

GOOD: list[tuple[str, dict[str, object]]] = [
    ("", {}),
    ("# only a comment", {}),
    ("[llm]\n[daemon]\n[embedded]\n", {}),
    ('[llm]\nmodel = "m"\n', {"llm_model": "m"}),
    ("[llm]\r\nmax_tokens = -1\r\n", {"llm_max_tokens": -1}),
    ("llm.max_tokens = 7", {"llm_max_tokens": 7}),
    ("llm = { max_tokens = 7, temperature = 1 }", {"llm_max_tokens": 7, "llm_temperature": 1.0}),
    ('["llm"]\n"model" = \'m\'', {"llm_model": "m"}),
    ("[embedded]\nthreads = 4.0", {"embedded_threads": 4}),
    ("\ufeff[daemon]\nqueue_limit = 1_000", {"daemon_queue_limit": 1000}),
    ('[llm]\nmodel = """m"""', {"llm_model": "m"}),
]

BAD: list[tuple[str, list[str]]] = [
    ("[llm]\ntemperature = 3", ["F, line 2: [llm] temperature = 3 is not allowed: it takes a num"]),
    ("[llm]\n\n# c\n  temperature=nan", ["F, line 4: [llm] temperature = NaN is not allowed"]),
    ("[llm]\nauto_select_model = 1", ["line 2: [llm] auto_select_model = 1 is not allowed"]),
    ("[llm]\nmax_tokens = true", ["line 2: [llm] max_tokens = true is not allowed"]),
    ("[llm]\nmax_tokens = '7'", ["line 2: [llm] max_tokens = '7' is not allowed"]),
    ('[llm]\nmodel = "a\\u0000b"', ["line 2: [llm] model = 'a\\x00b' is not allowed"]),
    ('[llm]\nmodel = """a\nb"""', ["line 2: [llm] model = 'a\\nb' is not allowed"]),
    ("[llm]\nmodel = [\n1]", ["line 2: [llm] model = [1] is not allowed"]),
    ("[llm.model]\nx = 1", ['line 1: [llm] model = {"x": 1} is not allowed']),
    ("llm.temperature = 3", ["line 1: [llm] temperature = 3 is not allowed"]),
    ("\nllm = { temperature = 3 }", ["line 2: [llm] temperature = 3 is not allowed"]),
    ("[daemon]\n['llm']\n 'temperature' = 3", ["line 3: [llm] temperature = 3 is not allowed"]),
    ("[daemon]\nidle_timeout = 0\n[llm]\nidle_timeout = 0", ["line 2: unknown", "line 4: [llm]"]),
    # names
    ("[llm]\ntempature = 1", ["line 2: unknown key [llm] tempature: did you mean [llm] temperat"]),
    ("[llm]\nllm_model = ''", ["line 2: unknown key [llm] llm_model: did you mean [llm] model?"]),
    ("[llm]\npoll_interval = 1", ["line 2: unknown key [llm] poll_interval: did you mean [daemon"]),
    ("[llm]\nqqqqqq = 1", ["line 2: unknown key [llm] qqqqqq: known are provider, api_base, "]),
    ('[llm]\n"\\u001b" = 1', [r"line 1: unknown key [llm] '\x1b': known are"]),
    ('[llm]\n"" = 1', ["line 2: unknown key [llm] '': known are"]),
    ("[llm.extra]\nx = 1", ["line 1: unknown key [llm] extra: known are"]),
    ("\n[embeded]\nthreads = 1", ["line 2: unknown key embeded: did you mean [embedded]?"]),
    ("[server]\n", ["line 1: unknown key server: known are [llm], [daemon], [embedded]"]),
    ("llm_model = 'm'", ["line 1: unknown key llm_model: did you mean [llm] model?"]),
    ("idle_timeout = 1", ["did you mean [llm] idle_timeout or [embedded] idle_timeout?"]),
    ("\nllm = 3", ["line 2: llm must be a table: write [llm]"]),
    ("[[llm]]\nmodel = ''", ["line 1: llm must be a table: write [llm]"]),
    # all at once
    (
        "[llm]\ntemperature = 3\nmax_tokens = 0\n[daemon]\nnope = 1",
        ["line 2: [llm] temperature", "line 3: [llm] max_tokens", "line 5: unknown key [daemon]"],
    ),
    # not TOML
    ("[llm\n", ["F, line 1, column 5: this is not TOML: "]),
    ("[llm]\nmodel = \n", ["F, line 2, column 9: this is not TOML: "]),
    ("[llm]\nmodel = 'm", ["this is not TOML: "]),
    ("[llm]\nmodel", ["F, line 2, column 6: this is not TOML: "]),
    (
        "[llm]\nmodel = ''\nmodel = ''",
        ["line 3, column 11: this is not TOML: [llm] model is there twice, first in line 2"],
    ),
    (
        "llm.model = ''\n[daemon]\n[llm]\n",
        ["line 3, column 5: this is not TOML: [llm] is there twice, first in line 1"],
    ),
    ("a = 1\na = 2\n", ["this is not TOML: a is there twice, first in line 1"]),
    (
        '[llm]\nmodel = "a"\nmodel = """\nb"""\n',
        ["line 4, column 5: this is not TOML: Cannot overwrite a value"],
    ),
    ("[llm]\nmax_tokens = " + "9" * 5000, ["F: this is not TOML: "]),
    ("x = " + "[" * 5000, ["nested too deeply"]),
    ("model = '\x00'", ["F, line 1, column 10: this is not TOML: "]),
]


@pytest.mark.parametrize(("text", "values"), GOOD)
def test_what_a_file_sets(text: str, values: dict[str, object]) -> None:
    assert given_by_toml(text.encode(), "F") == Given(values=values)  # type: ignore[arg-type]  # all are settings' values


@pytest.mark.parametrize(("text", "errors"), BAD)
def test_each_fault_has_its_line(text: str, errors: list[str]) -> None:
    result = given_by_toml(text.encode(), "F")

    assert len(result.errors) == len(errors), result.errors
    for told, wanted in zip(result.errors, errors, strict=True):
        assert told.startswith("F")
        assert wanted in told
        assert told.isprintable()


def test_a_file_that_is_not_utf8_is_told_with_the_line() -> None:
    result = given_by_toml(b"[llm]\n# gr\xfc\xdfe\n", "F")

    assert result.errors == ("F, line 2: this is not UTF-8 text",)


def test_what_is_right_is_read_although_something_is_wrong() -> None:
    result = given_by_toml(b"[llm]\ntemperature = 3\nmax_tokens = 5", "F")

    assert result.values == {"llm_max_tokens": 5}


def test_errors_never_tell_a_secret() -> None:
    text = """
        [llm]
        api_key = "hush hush"
        api_keys = "hush"
        api_base = "http://me:hush@host/v1"
    """

    result = given_by_toml(text.encode(), "F")

    assert len(result.errors) == 3
    assert "hush" not in " ".join(result.errors)


@given(st.binary(max_size=200) | st.text("[]llm.=\"'{}\n# 1aemodx", max_size=60).map(str.encode))
def test_no_content_does_worse_than_an_error(data: bytes) -> None:
    given_by_toml(data, "F")


def test_of_very_many_faults_the_first_are_told() -> None:
    text = "[llm]\n" + "".join(f"key{number} = 1\n" for number in range(1000))

    errors = given_by_toml(text.encode(), "F").errors

    assert len(errors) == MAX_ERRORS + 1
    assert errors[-1] == f"F: and {1000 - MAX_ERRORS} more"
