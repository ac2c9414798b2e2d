"""What is masked, and what is left alone."""

import json
from urllib.parse import quote

import pytest

from devsynthd.host.redaction import MASK, MAX_EXCERPT, MAX_SECRETS, Excerpt, Redaction

ODD = "a\"b\\c'd/e%f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the key abc-123-xyz is wrong", f"the key {MASK} is wrong"),
        ("?key=abc-123-xyzabc-123-xyz", f"?key={MASK}{MASK}"),
        ("Authorization: Bearer t0ken", f"Authorization: Bearer {MASK}"),
        ("{'authorization': 'bearer t0ken'}", f"{{'authorization': 'bearer {MASK}'}}"),
        ("http://me:pw@host:1/v1", f"http://{MASK}@host:1/v1"),
        ("https://t0ken@host", f"https://{MASK}@host"),
        ("https://me:p@w@host", f"https://{MASK}@host"),
        ("see http://host/a@b and x@y", "see http://host/a@b and x@y"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_is_masked(text: str, expected: str) -> None:
    assert Redaction("abc-123-xyz").text(text) == expected


@pytest.mark.parametrize("spelling", [ODD, json.dumps(ODD), repr(ODD), quote(ODD, safe="")])
def test_a_secret_is_known_in_every_spelling(spelling: str) -> None:
    masked = Redaction(ODD).text(f"<{spelling}>")

    assert masked.replace('"', "").replace("'", "") == f"<{MASK}>"


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    assert Redaction("x").text("exit x, x1: (x)") == f"exit {MASK}, x1: ({MASK})"


def test_no_secret_is_none() -> None:
    assert Redaction("").text("abc") == "abc"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redaction("secret", "secret-more").text("secret-more secret") == f"{MASK} {MASK}"


def test_earlier_secrets_are_remembered_for_a_while() -> None:
    secrets = [f"secret-{number}!" for number in range(MAX_SECRETS + 1)]
    redaction = Redaction(*secrets, secrets[-1])

    assert redaction.text(" ".join(secrets)) == " ".join([secrets[0], *[MASK] * MAX_SECRETS])


def test_values_are_gone_through() -> None:
    value = {"a": ["secret", {"secret": 1}], "n": None, "f": 1.5}

    assert Redaction("secret").value(value) == {"a": [MASK, {MASK: 1}], "n": None, "f": 1.5}


def test_an_excerpt_is_cut_after_it_was_masked() -> None:
    text = "." * (MAX_EXCERPT - 5) + ODD + "." * MAX_EXCERPT

    shown = Redaction(ODD).value(Excerpt(text))

    assert shown == "." * (MAX_EXCERPT - 5) + MASK[:4] + "…"
    assert Redaction().value(Excerpt("short")) == "short"
