"""What people are told on stderr while they watch."""

from devsynthctl.app import App


def tell_back(app: App) -> None:
    """Tell that a daemon is there again; programs that read JSON see it by the snapshots."""
    if not app.as_json:
        app.note("the daemon is back")
