"""Whether a file of CA certificates is one."""

from pathlib import Path

from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.text import named


def check_ca_bundle(path: Path) -> None:
    """Check that *path*, which ``llm_ca_bundle`` names, has certificates.

    Raises:
        ConfigInvalid: It has none, or cannot be read.
    """
    import ssl  # noqa: PLC0415 - slow, and few set a file of their own

    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise ConfigInvalid(
            f"llm_ca_bundle: {named(path)} is not a file of CA certificates that can be read",
            hint="give the path of one in PEM form, or leave it empty",
        ) from exc
