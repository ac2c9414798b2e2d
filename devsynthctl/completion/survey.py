"""Writes the outline of the command line anew: ``python -m devsynthctl.completion.survey``."""

import click
import msgspec

from devsynthctl.cli import cli
from devsynthctl.completion.outline import FILE, CommandOutline


def survey() -> CommandOutline:
    """Return the outline of ``devsynthctl`` as its commands, all of which this imports, have it."""
    context = click.Context(cli, info_name="devsynthctl", **cli.context_settings)
    return msgspec.convert(cli.to_info_dict(context), CommandOutline)


def main() -> None:
    """Write it into its file."""
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(survey()), indent=1) + b"\n")


if __name__ == "__main__":
    main()
