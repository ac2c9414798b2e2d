"""What of the daemon's log is told in a report: nothing that could be a prompt or an answer."""

import json
import logging
import sys
from typing import Any

import pytest

from devsynthctl.doctor.log_lines import file_lines, journal_lines
from devsynthd.host.journal import entry
from devsynthd.host.log_event import Event, event_of
from devsynthd.host.log_formats import as_json
from devsynthd.host.redaction import Redaction

LOGGER = "devsynthd.service.reception"
OF_REQUESTS = "devsynthd.service.call_lines"
PROMPT = "my diary: planted"


def event(message: str, level: int = logging.INFO, logger: str = LOGGER, **fields: object) -> Event:
    """Return what the daemon logs of *message*, with the exception that is being handled."""
    raised = sys.exc_info() if sys.exc_info()[1] else None
    record = logging.LogRecord(logger, level, "/x.py", 1, message, None, raised, "f")
    record.fields = fields
    return event_of(record, Redaction())


def told(*events: Event) -> tuple[list[str], list[str]]:
    """Return what is told of *events*, in the journal and in a file."""
    entries = [{**dict(entry(each)), "__REALTIME_TIMESTAMP": "1000000"} for each in events]
    lines = [as_json(each).encode() for each in events]
    return journal_lines(map(json.dumps, entries)), file_lines(lines)


def of_systemd(**fields: Any) -> str:  # noqa: ANN401 - as the journal has them
    return json.dumps({"PRIORITY": "6", "__REALTIME_TIMESTAMP": "1000000", **fields})


def test_what_is_told_of_a_line() -> None:
    journal, file = told(event("listening", port=1))

    assert journal == ["1970-01-01T00:00:01Z info listening port=1"]
    assert [line.partition("Z ")[2] for line in file] == ["info listening port=1"]


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_how_a_request_ended_without_what_the_server_said(level: int) -> None:
    """A daemon of before told that here, where it logged for debugging."""
    line = event(f"generate failed: {PROMPT}", level, OF_REQUESTS, error="upstream_error")
    journal, file = told(line)

    assert [line.partition(" generate ")[2] for line in (*journal, *file)] == [
        "failed error=upstream_error"
    ] * 2


def test_what_is_for_debugging_is_left_out() -> None:
    assert told(event("a prompt", logging.DEBUG, prompt=PROMPT)) == ([], [])


@pytest.mark.parametrize("words", [PROMPT, f"it\n{PROMPT}\nplanted"])
def test_an_exception_without_its_words(words: str) -> None:
    try:
        raise LookupError(words)
    except LookupError:
        journal, file = told(event("a request failed", logging.ERROR))

    for line in (*journal, *file):
        assert "error a request failed" in line
        assert f'(File "{__file__}", line ' in line
        assert line.endswith("; LookupError)")
        assert "planted" not in line


def test_lines_of_others() -> None:
    """Standard error of a service goes into the journal, too."""
    lines = journal_lines(
        [
            of_systemd(SYSLOG_IDENTIFIER="systemd", MESSAGE="Started devsynthd."),
            of_systemd(SYSLOG_IDENTIFIER="devsynthd", MESSAGE=PROMPT),
            of_systemd(SYSLOG_IDENTIFIER="devsynthd", MESSAGE="Fatal Python error: Aborted"),
            of_systemd(SYSLOG_IDENTIFIER="devsynthd", MESSAGE=[80, 255]),
            of_systemd(SYSLOG_IDENTIFIER="devsynthd", MESSAGE='  File "/x.py", line 3 in f'),
            "cut off",
        ]
    )

    assert [line.partition("Z ")[2] for line in lines[:-1]] == [
        "info Started devsynthd.",
        "info Fatal Python error: Aborted",
        'info   File "/x.py", line 3 in f',
    ]
    assert lines[-1] == "(2 lines that are not of the daemon's log itself are left out)"
