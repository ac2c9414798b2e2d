"""The checks in their order, what each needs, and all that can be wrong. Pure."""

from msgspec import Struct

from devsynthctl.doctor import (
    answer_links,
    api_links,
    daemon_links,
    service_link,
    settings_links,
    upstream_links,
)


class Check(Struct, frozen=True):
    """One link: its *name*, *what* is looked at, and the checks that must have passed before."""

    name: str
    what: str
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("socket", "whether something listens at the daemon's socket"),
    Check("daemon", "whether it answers, and is a devsynthd", ("socket",)),
    Check("version", "whether it is of the version of this command", ("daemon",)),
    Check("service", "whether a service manager looks after it"),
    Check("config", "whether the config file is valid"),
    Check("environment", "whether variables mean what they seem to"),
    Check("dns", "whether the server's host has an address"),
    Check("tcp", "whether it takes connections", ("dns",)),
    Check("http", "whether it speaks HTTP, or HTTPS", ("tcp",)),
    Check("api", "which generation of its API it speaks", ("http",)),
    Check("auth", "whether it accepts the API key", ("api",)),
    Check("engine", "whether the embedded engine is installed"),
    Check("models", "whether there is a model to answer"),
    Check("generation", "whether it answers", ("daemon", "models")),
    Check("context", "whether it answers by what was said before", ("generation",)),
)

TROUBLES = (
    *daemon_links.TROUBLES,
    *service_link.TROUBLES,
    *settings_links.TROUBLES,
    *upstream_links.TROUBLES,
    *api_links.TROUBLES,
    *answer_links.TROUBLES,
)
"""All that can be wrong, in the order of the checks."""
