"""The service manager that keeps the daemon running, judged. Pure."""

from devsynthctl.doctor.trouble import Trouble, Verdict, ok, skipped
from devsynthctl.exits import EXIT_STATUS
from devsynthctl.service.reports import ServiceStatus

NOT_INSTALLED = Trouble(
    check="service",
    state="warn",
    says="devsynthd is not installed as a service of {manager}",
    means="Nobody starts the daemon when you log in, or starts it again after a crash.",
    remedy="devsynthctl service install",
)
REFUSED_CONFIG = Trouble(
    check="service",
    says="{manager} gave up: the daemon found its configuration invalid (status 78){said}",
    example="MANAGER gave up: the daemon found its configuration invalid (status 78): the reason",
    means="It is not started again before that is mended.",
    remedy="devsynthctl config edit, then: devsynthctl service start",
)
REFUSED_VARIABLE = Trouble(
    check="service",
    says="{manager} gave up: the daemon found its configuration invalid (status 78){said}",
    example="MANAGER gave up: the daemon found its configuration invalid (status 78): "
    "DEVSYNTH_NAME = VALUE is not allowed: it takes ...",
    means="The service has a variable, from a drop-in or its manager, with a value that its "
    "setting does not take. The config file has nothing to do with it.",
    remedy="systemctl --user edit devsynthd.service, then: devsynthctl service start",
)
BROKEN_SERVICE = Trouble(
    check="service",
    says="{manager} gave up: the daemon failed ({ended})",
    means="It was started, failed, and failed again.",
    remedy="devsynthctl service logs, which tells why; then: devsynthctl service start",
)
OTHERWISE_RUNNING = Trouble(
    check="service",
    state="warn",
    says="the daemon that answers (pid {pid}) is not the one of {manager}",
    means="It was started by hand, and keeps the service from its socket.",
    remedy="devsynthctl shutdown; devsynthctl service start",
)
STOPPED_SERVICE = Trouble(
    check="service",
    state="warn",
    says="the service is installed in {manager}, but stopped",
    means="Somebody stopped it. Nothing starts it before the next login.",
    remedy="devsynthctl service start",
)
RESTARTING = Trouble(
    check="service",
    state="warn",
    says="{manager} starts the daemon over and over ({state}); it ended with {ended}",
    means="It fails soon after each start.",
    remedy="devsynthctl service logs",
)
STALE_UNIT = Trouble(
    check="service",
    state="warn",
    says="the files of the service have changed since {manager} read them",
    means="What runs is what was in them before.",
    remedy="systemctl --user daemon-reload; devsynthctl service restart",
)

TROUBLES = (
    *(NOT_INSTALLED, REFUSED_CONFIG, REFUSED_VARIABLE, BROKEN_SERVICE, OTHERWISE_RUNNING),
    *(STOPPED_SERVICE, RESTARTING, STALE_UNIT),
)


def judge_service(
    seen: ServiceStatus | None, pid: int | None, *, is_stale: bool = False
) -> Verdict:
    """Return how the service is, where a daemon of *pid* answers (null: none does).

    *seen* null: this user has no service manager. *is_stale*: its files have changed since that
    read them.
    """
    if seen is None:
        return skipped("neither systemd nor launchd serves this user here")
    trouble = _trouble(seen, pid, is_stale=is_stale)
    if trouble is None:
        how = f"is {seen.state}" if seen.running else "starts with the first request"
        return ok(f"installed in {seen.manager}, {how}")
    verdict = trouble.told(
        manager=seen.manager,
        ended=_ended(seen),
        said=f": {seen.status}" if seen.status else "",
        state=seen.state,
        pid=pid,
    )
    # As long as a daemon answers, however it was started, nothing is broken for its clients.
    return verdict if pid is None else Verdict("warn", verdict.message, verdict.remedy)


def _trouble(seen: ServiceStatus, pid: int | None, *, is_stale: bool) -> Trouble | None:
    is_starting = seen.state.startswith(("activating", "spawn"))
    is_refused = has_failed(seen) and seen.exit_status == EXIT_STATUS["config_invalid"]
    faults = (
        (not seen.installed, NOT_INSTALLED),
        (is_refused and (seen.status or "").startswith("DEVSYNTH_"), REFUSED_VARIABLE),
        (is_refused, REFUSED_CONFIG),
        (has_failed(seen), BROKEN_SERVICE),
        (pid is not None and pid != seen.pid, OTHERWISE_RUNNING),
        (is_starting and bool(seen.restarts), RESTARTING),
        (not (seen.running or seen.listening or is_starting), STOPPED_SERVICE),
        (is_stale, STALE_UNIT),
    )
    return next((trouble for holds, trouble in faults if holds), None)


def _ended(seen: ServiceStatus) -> str:
    how = seen.signal or ("unknown" if seen.exit_status is None else seen.exit_status)
    return f"{seen.result or 'no reason given'}, {'' if seen.signal else 'status '}{how}"


def has_failed(seen: ServiceStatus) -> bool:
    """Return whether the manager has given it up."""
    is_over = not seen.running and not seen.state.startswith("activating")
    return is_over and (seen.state.startswith("failed") or seen.result is not None)
