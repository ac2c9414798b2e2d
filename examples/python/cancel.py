"""Stops an answer early, in each of the ways there are; the model stops too.

python cancel.py "Tell me a long story."
"""

import argparse
import contextlib
import sys
import threading

from ending import run

from devsynthctl import Client, DevsynthError


def first_line(client: Client, prompt: str) -> str:
    """Return the answer up to its first line break: leaving the stream cancels the rest."""
    text = ""
    with client.stream(prompt) as stream:
        for chunk in stream:
            text += chunk.text
            if "\n" in text:
                break
    return text.partition("\n")[0]


def so_far(client: Client, prompt: str, seconds: float) -> str:
    """Return what has come of the answer when its time is over."""
    try:
        return client.generate(prompt, timeout=seconds).text
    except DevsynthError as error:
        if error.code != "deadline_exceeded":
            raise
        return str(error.details.get("text", ""))


def until_enter(client: Client, prompt: str) -> str:
    """Return what has come of the answer when somebody presses Enter, which another thread sees."""
    with client.stream(prompt) as stream:

        def stop() -> None:
            sys.stdin.readline()
            with contextlib.suppress(DevsynthError):  # the answer may be over, the client closed
                client.cancel(stream.id)

        threading.Thread(target=stop, daemon=True).start()
        try:
            return "".join(chunk.text for chunk in stream)
        except DevsynthError as error:
            if error.code != "cancelled":
                raise
            return str(error.details.get("text", ""))


def main() -> None:
    """Ask the same three times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("prompt", nargs="?", default="Tell me a long story.")
    prompt = parser.parse_args().prompt
    with Client() as client:
        print("its first line:", first_line(client, prompt), flush=True)
        print("within 5 s:", so_far(client, prompt, 5), flush=True)
        print("press Enter to stop", flush=True)
        print("until then:", until_enter(client, prompt))


if __name__ == "__main__":
    run(main)
