"""The table of exit statuses."""

import pytest

from devsynthctl.errors import ClientError
from devsynthctl.exits import exit_status
from devsynthd.wire.errors import ErrorCode

STATUSES = {
    "bad_request": 2,
    "unsupported_version": 1,
    "model_not_found": 5,
    "no_model": 5,
    "model_load_failed": 5,
    "upstream_unavailable": 4,
    "upstream_timeout": 6,
    "upstream_auth": 4,
    "upstream_error": 1,
    "context_overflow": 1,
    "incomplete": 1,
    "queue_full": 7,
    "shutting_down": 7,
    "deadline_exceeded": 6,
    "cancelled": 130,
    "config_invalid": 78,
    "forbidden": 7,
    "not_supported": 1,
    "internal": 1,
    "connection_lost": 3,
    "daemon_unreachable": 3,
    "no_answer": 6,
    "bad_reply": 1,
    "service_failed": 1,
    "no_service_manager": 1,
    "service_not_installed": 1,
    "service_file_edited": 1,
    "one_of_a_later_version": 1,
}


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_each_code_has_its_status(code: str, status: int) -> None:
    assert exit_status(code) == status


def test_no_code_is_forgotten() -> None:
    ours = {cls.code for cls in ClientError.__subclasses__()} - {ClientError.code}
    assert {*ErrorCode, *ours} <= STATUSES.keys()
