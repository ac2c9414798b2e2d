"""``schema``: what may be said, for programs that check it or are written from it."""

import click
import msgspec

from devsynthctl.app import App
from devsynthctl.options import as_json
from devsynthd.wire.schema import protocol_schema


@click.command()
@as_json
@click.pass_obj
def schema(app: App) -> None:
    """Write the JSON Schema of every message of the protocol.

    It is that of this version; the daemon need not run. With --json it is on one line.
    """
    text = msgspec.json.encode(protocol_schema())
    written = text if app.as_json else msgspec.json.format(text, indent=2)
    app.print(f"{written.decode()}\n")
