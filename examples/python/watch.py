"""Reacts to changes without polling.

python watch.py            each event, as it happens
python watch.py models     the list of models, whenever it has changed
"""

import sys

from devsynthctl import Client, DevsynthError
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
    with Client() as client:
        try:
            watch_models(client) if sys.argv[1:] == ["models"] else watch_events(client)
        except DevsynthError as error:
            sys.exit(f"{error.code}: {error}")
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
