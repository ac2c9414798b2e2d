"""What is masked, and what is left alone."""

import base64
import html
import json
import time
from urllib.parse import quote

import pytest

from devsynthd.host.redaction import (
    MASK,
    MAX_EXCERPT,
    MAX_SECRETS,
    Excerpt,
    Redaction,
    passwords_of,
)

ODD = "a\"b\\c'd/e%f<g&h"


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
        ("http://me:p/w@host:1/v1", f"http://{MASK}@host:1/v1"),
        ("http://me:12/34@host", f"http://{MASK}@host"),
        ("http://me:p@/#w@host, x@y", f"http://{MASK}@host, x@y"),
        ("Proxy-Authorization: Basic bWU6cHc=", f"Proxy-Authorization: Basic {MASK}"),
        ("authorization=t0ken; next", f"authorization={MASK}; next"),
        ("the key sk-lm-abcdef:123456 is", f"the key {MASK} is"),
        ("http://localhost:1234/v1/models/m@q4", "http://localhost:1234/v1/models/m@q4"),
        ("http://10.0.0.1:1234/v1/models/m@q4", "http://10.0.0.1:1234/v1/models/m@q4"),
        ("http://[::1]:1234/v1/models/m@q4", "http://[::1]:1234/v1/models/m@q4"),
        ("see http://host/a@b and x@y", "see http://host/a@b and x@y"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_is_masked(text: str, expected: str) -> None:
    assert Redaction("abc-123-xyz").text(text) == expected


def in_base64(ahead: str) -> str:
    return base64.b64encode(f"{ahead}{ODD}".encode()).decode()


@pytest.mark.parametrize(
    "spelling",
    [
        *(ODD, json.dumps(ODD), repr(ODD), quote(ODD, safe=""), quote(ODD), html.escape(ODD)),
        *(quote(ODD, safe="").lower(), ODD.replace("/", "\\/"), json.dumps(json.dumps(ODD))[3:-3]),
        json.dumps(html.escape(ODD)),
    ],
)
def test_a_secret_is_known_in_every_spelling(spelling: str) -> None:
    masked = Redaction(ODD).text(f"<{spelling}>")

    assert masked.replace('"', "").replace("'", "") == f"<{MASK}>"


@pytest.mark.parametrize("ahead", ["", ":", "me:"])
def test_a_secret_is_known_in_base64_whatever_stands_ahead_of_it(ahead: str) -> None:
    """But for the characters that its neighbours are a part of."""
    encoded = in_base64(ahead)

    for text in (encoded, encoded.replace("+", "-").replace("/", "_")):
        masked = Redaction(ODD).text(text)
        assert MASK in masked
        assert len(masked.replace(MASK, "")) <= 8


def test_passwords_of_proxies_are_found_as_they_are_written() -> None:
    environ = {
        "HTTP_PROXY": "http://me:secret-1@proxy:3128",
        "https_proxy": "me:secret/2@proxy:3128",
        "ALL_PROXY": "socks5://secret-3@proxy",
        "no_proxy": "http://me:nothing@host",
        "OTHER": "http://me:nothing@host",
        "http_proxy": "http://proxy:3128",
    }

    assert passwords_of(environ) == ("secret-1", "secret/2", "secret-3")


def test_some_secrets_are_never_forgotten() -> None:
    redaction = Redaction(*map("secret-{}!".format, range(MAX_SECRETS)), always=["pw%2Fpw\udcff"])
    redaction.learn("one-more")

    assert redaction.text("pw%2Fpw\udcff, pw/pw\udcff, one-more") == ", ".join([MASK] * 3)


@pytest.mark.parametrize(
    "part", ["://", "http://a:", "authorization: ", "://[::1]:1/", "a.b", "sk-"]
)
def test_a_long_text_takes_no_time_to_speak_of(part: str) -> None:
    started = time.perf_counter()
    Redaction(ODD).text(part * (16_000 // len(part)))

    assert time.perf_counter() - started < 2


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
