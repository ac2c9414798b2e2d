"""What an examination came to, in a table and summed up. Pure."""

from collections.abc import Sequence

from devsynthctl.doctor.trouble import Finding

COLUMNS = ("state", "check", "message", "remedy", "seconds")


def row(finding: Finding) -> tuple[str, ...]:
    """Return the cells of *finding*, in the order of `COLUMNS`."""
    message = "; ".join(finding.message.splitlines())
    remedy, seconds = finding.remedy or "", f"{finding.duration_s:.3f}"
    return (finding.state, finding.name, message, remedy, seconds)


def summary(findings: Sequence[Finding]) -> str:
    """Return in one line how it went."""
    states = [finding.state for finding in findings]
    told = (
        (states.count("ok"), "ok"),
        (states.count("warn"), "to know of"),
        (states.count("failed"), "failed"),
        (states.count("skipped"), "not checked"),
    )
    counts = ", ".join(f"{count} {what}" for count, what in told if count)
    first = next((finding.name for finding in findings if finding.state == "failed"), None)
    return f"{counts}; mend {first} first" if first else counts


def is_ok(findings: Sequence[Finding]) -> bool:
    """Return whether none has failed."""
    return all(finding.state != "failed" for finding in findings)
