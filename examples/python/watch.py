"""Reacts to changes without polling.

python watch.py            each event, as it happens
python watch.py models     the list of models, whenever it has changed
"""

import argparse

from ending import run

from devsynthctl import Client
from devsynthd.wire.events import ConfigNews
from devsynthd.wire.objects import Source
from devsynthd.wire.results import Models


def watch_events(client: Client) -> None:
    """Print a line an event; the first one of each topic tells how it is now."""
    with client.subscribe(["models", "upstream", "config"]) as events:
        for news in events:
            match news.data:
                case Models(models=models, selection=selection):
                    print(f"{len(models)} models, {selection.model} answers", flush=True)
                case Source(api_base=base, reachable=reachable):
                    print(base, "is there" if reachable else "is not there", flush=True)
                case ConfigNews(changed=changed, error=error):
                    print("settings:", error or ", ".join(changed) or "valid", flush=True)


def watch_models(client: Client) -> None:
    """Print the models at first and after each change; nothing is asked in between."""
    models = client.list()
    while True:
        print(*(model.id for model in models.models), flush=True)
        models = client.wait_for_change(models.generation)


def main() -> None:
    """Watch until Ctrl-C, or until the daemon goes away."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["events", "models"], default="events")
    what = parser.parse_args().what
    with Client() as client:
        watch_models(client) if what == "models" else watch_events(client)


if __name__ == "__main__":
    run(main)
