"""The files for service managers as they are shipped: in the wheel, or in a checkout."""

from pathlib import Path

from devsynthctl.service.errors import ServiceError

_IN_WHEEL = Path(__file__).with_name("files")
_IN_CHECKOUT = Path(__file__).parents[2]


def shipped(folder: str, name: str) -> str:
    """Return the text of the file *name* in the *folder* ``systemd`` or ``launchd``.

    Raises:
        ServiceError: This installation lacks it.
    """
    for root in (_IN_WHEEL, _IN_CHECKOUT):
        path = root / folder / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ServiceError(
        f"this installation has no {folder}/{name}", hint="install the package devsynthd anew"
    )
