"""All that an examination finds out, for the report. Each is null as long as it is not known."""

from msgspec import Struct

from devsynthctl.service.reports import ServiceStatus
from devsynthd.wire.objects import Model, SettingInfo
from devsynthd.wire.results import Pong, StatusReport


class Facts(Struct, kw_only=True):
    """What is known so far; filled in as the checks go on. No secret is in here."""

    pong: Pong | None = None
    status: StatusReport | None = None
    settings: tuple[SettingInfo, ...] | None = None  # the daemon's
    settings_here: tuple[SettingInfo, ...] | None = None  # of file and shell, without a daemon
    service: ServiceStatus | None = None
    models: tuple[Model, ...] | None = None
