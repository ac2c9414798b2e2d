"""What a person can enter: messages, and commands that start with a slash. Pure."""

from msgspec import Struct

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.nearest import nearest

COMMANDS = {
    "/help": ("", "show this"),
    "/model": ("[NAME]", "list the models, or choose one (-: the daemon decides)"),
    "/system": ("[TEXT]", "show the system message, or set it (-: none)"),
    "/retry": ("", "ask again: for another answer, or after a failure"),
    "/clear": ("", "start anew; the system message and the file of -c stay"),
    "/quit": ("", "leave; so does Ctrl-D"),
}
"""What may follow each command, and what it does."""

HELP = "\n".join(
    [
        *(f"{f'{name} {value}':<15} {text}" for name, (value, text) in COMMANDS.items()),
        "//TEXT          send a message that starts with a slash",
        "Enter sends, Alt-Enter or Ctrl-J starts a new line, Ctrl-C stops an answer.",
    ]
)


_SHOWN = 40  # characters of what is no command; it may be a picture in base64


class Say(Struct, frozen=True):
    """A message for the model."""

    text: str


class Command(Struct, frozen=True):
    """One of `COMMANDS`; *value* is what follows it, empty if nothing."""

    name: str
    value: str = ""


def read_entry(text: str) -> Say | Command | None:
    """Return what *text* means, null if it is blank.

    Raises:
        BadRequest: It starts as a command but is none.
    """
    if not text.strip():
        return None
    if not text.startswith("/"):
        return Say(text)
    if text.startswith("//"):
        return Say(text[1:])
    name, *rest = text.split(maxsplit=1)
    value = rest[0].strip() if rest else ""
    if name not in COMMANDS:
        near = nearest(name, COMMANDS)
        raise BadRequest(
            f"there is no command {name if len(name) <= _SHOWN else name[:_SHOWN] + '...'}",
            hint=(f"did you mean {near}? " if near else "")
            + "/help lists them; // starts a message with a slash",
        )
    if value and not COMMANDS[name][0]:
        raise BadRequest(f"{name} takes nothing after it", hint=f"enter just {name}")
    return Command(name, value)
