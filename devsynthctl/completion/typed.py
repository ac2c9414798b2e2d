"""What somebody has typed when they press Tab, read as a shell reads it. Pure."""

import re
from typing import NamedTuple

_ASSIGNMENT = re.compile(r"\w+=")
_ESCAPED_IN_QUOTES = '"\\$`'


class Typed(NamedTuple):
    """The complete *words* behind the name of the program, and the *current* one, unquoted.

    *quote* is the quotation mark that is open at the cursor, else it is empty.
    """

    words: list[str]
    current: str
    quote: str


def read_line(line: str) -> Typed:
    """Return what stands in *line*, which ends at the cursor."""
    words, word, quote = [], "", ""
    inside = False  # of a word, which may be empty: ''
    characters = iter(line)
    for each in characters:
        if quote and each == quote:
            quote = ""
        elif quote == "'":
            word += each
        elif each == "\\":
            following = next(characters, "")
            kept = each if quote and following not in _ESCAPED_IN_QUOTES else ""
            word, inside = word + kept + following, True
        elif quote:
            word += each
        elif each.isspace():
            if inside:
                words.append(word)
            word, inside = "", False
        elif each in "'\"":
            quote, inside = each, True
        else:
            word, inside = word + each, True
    while len(words) > 1 and _ASSIGNMENT.match(words[0]):
        del words[0]
    return Typed(words[1:], word, quote)


def unquoted(text: str, quote: str) -> str:
    """Return what the shell makes of *text*, which follows an open *quote*, if there is any."""
    return read_line(quote + text).current


def quoted(text: str, quote: str) -> str:
    """Return *text* as it has to be typed behind an open *quote*, or where there is none."""
    match quote:
        case "'":
            return text.replace("'", r"'\''")
        case '"':
            return re.sub(r'([\\"$`])', r"\\\1", text)
        case _:
            return re.sub(r"([^\w@%+=:,./-]|^=)", r"\\\1", text)
