import io
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import pytest

from devsynthd.host.log_formats import as_json
from devsynthd.host.log_stream import Stream
from devsynthd.host.logs import LOGGER_NAME, EventHandler, choose_format, setup_logging
from devsynthd.host.redaction import MASK, Redaction
from tests.unit.host.test_journal import Reader

logger = logging.getLogger(f"{LOGGER_NAME}.test")

KEY = "hunter2-hunter2"


def set_up(
    level: str, log_format: str, stream: TextIO | None, environ: Mapping[str, str] | None = None
) -> None:
    setup_logging(level, log_format, stream=stream, environ=environ or {}, redaction=Redaction(KEY))


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the process's logging as it was."""
    ours = logging.getLogger(LOGGER_NAME)
    level = ours.level
    yield
    set_up("info", "text", None)
    ours.setLevel(level)


def logged(log_format: str, level: str = "debug") -> io.StringIO:
    stream = io.StringIO()
    set_up(level, log_format, stream)
    return stream


def event(stream: io.StringIO) -> dict[str, Any]:
    """Return the one event in *stream*, which is one line."""
    text = stream.getvalue()
    assert text.count("\n") == 1
    read: dict[str, Any] = json.loads(text)
    return read


def log_a_failure() -> None:
    try:
        raise ValueError("first\nsecond\x1b[31m")
    except ValueError:
        logger.exception("it failed")


def test_text_has_time_level_message_and_fields() -> None:
    stream = logged("text")

    logger.warning("%s is slow", "LM Studio", extra={"fields": {"model": "m 1", "n": 3, "x": "y"}})

    assert re.fullmatch(
        r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning LM Studio is slow model="m 1" n=3 x=y\n',
        stream.getvalue(),
    )


def test_json_has_an_object_a_line() -> None:
    stream = logged("json")

    logger.info("größe\n%s", "x", extra={"fields": {"path": Path("/p"), "none": None}})

    told = event(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {
        "level": "info",
        "logger": "devsynthd.test",
        "message": "größe\nx",
        "fields": {"path": "/p", "none": None},
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)],
)
def test_the_journal_gets_priorities_and_no_time(level: str, priority: int) -> None:
    stream = logged("journal")

    getattr(logger, level)("hello", extra={"fields": {"n": 1}})

    assert stream.getvalue() == f"<{priority}>hello n=1\n"


@pytest.mark.parametrize("log_format", ["text", "journal", "json"])
def test_nothing_in_a_message_or_field_makes_a_second_line_or_reaches_a_terminal_raw(
    log_format: str,
) -> None:
    stream = logged(log_format)

    logger.info("a\r\n\x1b[31m\x9b\u2028\udc80", extra={"fields": {"k": "v\n\x1b", "l": ["\x9b"]}})

    text = stream.getvalue()
    assert text.endswith("\n")
    assert text[:-1].isprintable()


def test_a_traceback_is_indented_in_text() -> None:
    stream = logged("text")

    log_a_failure()

    first, *rest = stream.getvalue().splitlines()
    assert first.endswith(" error   it failed")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == r"    second\x1b[31m"
    assert all(line.startswith("    ") for line in rest)


def test_a_traceback_has_the_priority_of_its_event_in_the_journal() -> None:
    stream = logged("journal")

    log_a_failure()

    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["<3>it failed", "<3>    Traceback (most recent call last):"]
    assert all(line.startswith("<3>") for line in lines)


def test_a_traceback_is_one_field_in_json() -> None:
    stream = logged("json")

    log_a_failure()

    assert event(stream)["traceback"].endswith("ValueError: first\nsecond\x1b[31m")


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", "diwe"),
        ("info", "iwe"),
        ("warning", "we"),
        ("error", "e"),
    ],
)
def test_only_what_matters_enough_is_logged(level: str, heard: str) -> None:
    stream = logged("journal", level)

    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")

    assert "".join(line[-1] for line in stream.getvalue().splitlines()) == heard


def test_other_libraries_are_heard_from_warning_on() -> None:
    stream = logged("journal")

    logging.getLogger("urllib3").info("chatter")
    logging.getLogger("asyncio").error("a task failed")

    assert stream.getvalue() == "<3>a task failed\n"


@pytest.mark.parametrize("log_format", ["text", "journal", "json"])
def test_no_secret_is_in_message_field_or_traceback(log_format: str) -> None:
    stream = logged(log_format)
    fields = {"url": f"http://me:pw@host/?k={KEY}", "headers": {"Authorization": "Bearer abc"}}

    try:
        raise ValueError(f"the server said: {KEY}")
    except ValueError:
        logger.exception("with %s", KEY, extra={"fields": fields})

    text = stream.getvalue()
    assert f"with {MASK}" in text
    assert f"the server said: {MASK}" in text
    assert f"http://{MASK}@host" in text
    assert not [each for each in (KEY, "abc", "me:pw") if each in text]


def test_a_secret_that_is_learnt_later_is_masked_too() -> None:
    stream, redaction = io.StringIO(), Redaction()
    setup_logging("info", "json", stream=stream, environ={}, redaction=redaction)

    redaction.learn("another-key")
    logger.info("another-key")

    assert event(stream)["message"] == MASK


def test_a_line_that_cannot_be_made_is_told_without_its_arguments(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    log = EventHandler([Stream(stream, as_json)], Redaction())
    record = logging.LogRecord("d", logging.INFO, __file__, 1, "%d models", (KEY,), None)
    record.fields = {"bad": Untellable()}

    log.handle(record)

    told = event(stream)
    assert told["message"] == "%d models (the arguments of this line cannot be told)"
    assert told["fields"] == {"bad": "(a Untellable that cannot be told)"}
    assert capfd.readouterr() == ("", "")


class Untellable:
    def __str__(self) -> str:
        raise RuntimeError(KEY)


def test_setting_up_again_replaces_what_was() -> None:
    first = logged("text", "error")
    second = logged("journal", "info")

    logger.info("hello")

    assert first.getvalue() == ""
    assert second.getvalue() == "<6>hello\n"


def test_without_a_stream_nothing_is_written() -> None:
    set_up("info", "auto", None)

    logger.info("hello")

    assert not any(isinstance(h, EventHandler) for h in logging.getLogger().handlers)


def test_a_closed_stream_is_no_reason_to_fail(capfd: pytest.CaptureFixture[str]) -> None:
    stream = logged("text")
    stream.close()

    logger.info("hello")
    set_up("info", "auto", stream, {"JOURNAL_STREAM": "1:2"})
    logger.info("hello")

    assert capfd.readouterr() == ("", "")


def test_a_broken_pipe_is_no_reason_to_fail(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    set_up("info", "auto", stream)

    logger.info("hello")
    logger.info("hello again")

    with suppress(BrokenPipeError):
        stream.close()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    controller, terminal = os.openpty()
    with os.fdopen(controller, "rb"), os.fdopen(terminal, "w") as stream:
        yield stream


@pytest.fixture
def pipe() -> Iterator[TextIO]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "w") as stream:
        yield stream


def journal_of(stream: TextIO) -> dict[str, str]:
    status = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}


def test_auto_is_text_on_a_terminal(terminal: TextIO) -> None:
    assert choose_format("auto", terminal, {}) == "text"
    assert choose_format("auto", terminal, journal_of(terminal)) == "text"


@pytest.mark.parametrize(
    ("environ", "chosen"),
    [
        ({"TERM": "xterm"}, "colour"),
        ({"TERM": "xterm", "NO_COLOR": ""}, "colour"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "text"),
        ({"TERM": "dumb"}, "text"),
        ({}, "text"),
    ],
)
@pytest.mark.parametrize("log_format", ["auto", "text"])
def test_a_terminal_has_colours_unless_it_wants_none(
    terminal: TextIO, log_format: str, environ: dict[str, str], chosen: str
) -> None:
    assert choose_format(log_format, terminal, environ) == chosen


def test_text_has_no_colours_elsewhere(pipe: TextIO) -> None:
    assert choose_format("text", pipe, {"TERM": "xterm"}) == "text"


def test_only_the_level_is_coloured() -> None:
    controller, theirs = os.openpty()
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(theirs, "w") as stream:
        set_up("info", "auto", stream, {"TERM": "xterm"})
        logger.error("it failed")
        shown = screen.read(1000).decode()

    assert re.fullmatch(r"\S+Z \x1b\[31merror  \x1b\[0m it failed\r\n", shown)


def test_auto_is_journal_on_the_stream_that_systemd_names(pipe: TextIO) -> None:
    assert choose_format("auto", pipe, journal_of(pipe)) == "journal"


def test_where_stderr_is_the_journals_events_go_there_with_fields(
    pipe: TextIO, short_dir: Path
) -> None:
    reader = Reader(short_dir / "journal")
    with reader.socket:
        for log_format in ("auto", "journal", "json"):
            setup_logging(
                "info",
                log_format,
                stream=pipe,
                environ=journal_of(pipe),
                redaction=Redaction(KEY),
                journal=short_dir / "journal",
            )
            logger.info("%s %s", log_format, KEY, extra={"fields": {"request": 7}})
        told = reader.read_all()

    assert [each["MESSAGE"] for each in told] == [
        f"auto {MASK} request=7",
        f"journal {MASK} request=7",
    ]
    assert {each["DEVSYNTH_REQUEST"] for each in told} == {"7"}
    assert {Path(each["CODE_FILE"]).name for each in told} == {"test_logs.py"}


@pytest.mark.parametrize("named", ["", "1:2", "x"])
def test_auto_is_json_elsewhere(pipe: TextIO, named: str) -> None:
    assert choose_format("auto", pipe, {}) == "json"
    assert choose_format("auto", pipe, {"JOURNAL_STREAM": named}) == "json"
    assert choose_format("auto", io.StringIO(), {"JOURNAL_STREAM": named}) == "json"


@pytest.mark.parametrize("log_format", ["text", "journal", "json"])
def test_a_format_that_is_named_holds_everywhere(terminal: TextIO, log_format: str) -> None:
    assert choose_format(log_format, terminal, {}) == log_format


def test_an_unknown_format_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="unknown log format 'xml'"):
        choose_format("xml", io.StringIO(), {})
