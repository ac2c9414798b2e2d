"""What the daemon is called by the service managers that run it."""

SYSTEMD_SERVICE = "devsynthd.service"
SYSTEMD_SOCKET = "devsynthd.socket"
LAUNCHD_LABEL = "devsynthd"
