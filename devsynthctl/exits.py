"""What the exit status of the command says: the one table from error codes to numbers."""

OK = 0
FAILURE = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

EXIT_STATUS = {
    "bad_request": USAGE,
    "daemon_unreachable": 3,
    "connection_lost": 3,
    "upstream_unavailable": 4,
    "upstream_auth": 4,
    "model_not_found": 5,
    "no_model": 5,
    "model_load_failed": 5,
    "upstream_timeout": 6,
    "deadline_exceeded": 6,
    "no_answer": 6,
    "queue_full": 7,
    "shutting_down": 7,
    "forbidden": 7,
    "config_invalid": 78,  # EX_CONFIG of sysexits.h
    "cancelled": INTERRUPTED,
}
"""The exit status of each error code; all others have `FAILURE`."""


def exit_status(code: str) -> int:
    """Return the exit status that stands for the error *code*."""
    return EXIT_STATUS.get(code, FAILURE)
