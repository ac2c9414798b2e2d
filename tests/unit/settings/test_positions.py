import pytest

from devsynthd.settings.positions import KeyPath, key_at, key_lines, line_of

TEXT = """\
# [llm] model = 1
llm.model = "m"
[daemon] # x
  queue_limit=3
"log_level" = 'info'
[ "embedded" . 'x' ]
threads = 1
[[many]]
a.b = 1
[[many]]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("llm",), 2),
        (("llm", "model"), 2),
        (("daemon",), 3),
        (("daemon", "queue_limit"), 4),
        (("daemon", "log_level"), 5),
        (("embedded", "x"), 6),
        (("embedded", "x", "threads"), 7),
        (("many",), 8),
        (("many", "a", "b"), 9),
        (("daemon", "nothing"), 3),
        (("nothing",), None),
        (("nothing", "at all"), None),
    ],
)
def test_a_key_or_the_table_around_it_is_found(path: tuple[str, ...], line: int | None) -> None:
    assert line_of(key_lines(TEXT), *path) == line


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (1, None),
        (2, ("llm", "model")),
        (3, ("daemon",)),
        (4, ("daemon", "queue_limit")),
        (7, ("embedded", "x", "threads")),
    ],
)
def test_the_key_of_a_line(number: int, key: KeyPath | None) -> None:
    assert key_at(TEXT + "not TOML", number) == key
