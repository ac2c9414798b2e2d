"""Lists the models, or streams an answer.

python ask.py                              the models
python ask.py "Why is the sky blue?"       an answer, as it comes
"""

import argparse
import sys

from ending import run

from devsynthctl import Client


def show_models(client: Client) -> None:
    """Print a line a model; the one that answers is marked."""
    models = client.list()
    for model in models.models:
        mark = "*" if model.selected else " "
        print(f"{mark} {model.id}{' (loaded)' if model.loaded else ''}")
    for warning in models.warnings:
        print(warning.message, file=sys.stderr)


def answer(client: Client, prompt: str) -> None:
    """Print the answer as it comes, then what it took."""
    with client.stream(prompt) as stream:
        for chunk in stream:
            print(chunk.text, end="", flush=True)
    print()
    result = stream.result
    print(f"{result.model}, {result.timing.total_s:.1f} s", file=sys.stderr)


def main() -> None:
    """Ask what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("word", nargs="*", help="of the question; without any, the models")
    prompt = " ".join(parser.parse_args().word)
    with Client() as client:
        answer(client, prompt) if prompt else show_models(client)


if __name__ == "__main__":
    run(main)
