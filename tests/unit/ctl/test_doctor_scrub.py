"""What is taken out of a report, and what stays."""

import pytest

from devsynthctl.doctor.scrub import Scrub

SCRUB = Scrub(
    ["planted"], home="/home/ann", user="ann", hosts=["desk.example.org", "desk", "localhost"]
)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("the key is planted.", "the key is ********."),
        ("Authorization: Bearer abc.def-1", "Authorization: ********"),
        ("'authorization': 'Basic abc=='", "'authorization': ********"),
        ("Authorization: bearer  abc;def", "Authorization: ********"),
        ("got bearer abc, and", "got bearer ********, and"),
        ("http://me:pw@host:1/v1", "http://********@host:1/v1"),
        ("key sk-lm-abcdef:123456", "key ********"),
        ("http://me:p@ss/w@host:1/v1", "http://********@host:1/v1"),
        ("api_key = 'abc'", "api_key = ********"),
        ("api_key = abc def\nmore", "api_key = ********\nmore"),
        ("llm_api_key = abc def (file)", "llm_api_key = ******** (file)"),
        ("OPENAI_API_KEY=(abc)def", "OPENAI_API_KEY=********"),
        ("X_API_KEY=a;b,c", "X_API_KEY=********"),
        ("x-api-key: abc, def", "x-api-key: ********"),
        ('{"apiKey": "abc def"}', '{"apiKey": ********'),
        ("DB_PASSWORD=correct horse battery", "DB_PASSWORD=********"),
        ("API_KEY=planted battery", "API_KEY=********"),
        ("API_KEY=sk-0123456;battery", "API_KEY=********"),
        ("https://host/v1?key=abc;def", "https://host/v1?key=********"),
        ("API_KEY = ********, which it has", "API_KEY = ********, which it has"),
        ("DEVSYNTH_LLM_API_KEY=abc", "DEVSYNTH_LLM_API_KEY=********"),
        ("hf_token: abc", "hf_token: ********"),
        ("/home/ann/.config and /home/annika", "~/.config and /home/annika"),
        ("user ann on Desk or desk.example.org", "user USER on HOST or HOST"),
        ("annotate the desktop", "annotate the desktop"),
        ("http://localhost:1234", "http://localhost:1234"),
        ("llm_max_tokens = 1024 (file)", "llm_max_tokens = 1024 (file)"),
        ("llm_first_token_timeout = 300", "llm_first_token_timeout = 300"),
        ("totals.tokens = 7", "totals.tokens = 7"),
        ("llm_api_key =  (default)", "llm_api_key =  (default)"),
    ],
)
def test_what_becomes_of_a_text(text: str, scrubbed: str) -> None:
    assert SCRUB.all(text) == scrubbed


def test_on_the_screen_only_secrets_are_taken_out() -> None:
    text = "ann at desk: /home/ann, planted, http://me:pw@gpu/, Bearer abc"
    assert SCRUB.secrets(text) == (
        "ann at desk: /home/ann, ********, http://********@gpu/, Bearer ********"
    )


def test_names_that_tell_nothing_stay() -> None:
    scrub = Scrub([], home="/", user="root", hosts=["h", "localhost"])
    assert scrub.all("root at h, /root/x, localhost") == "root at h, /root/x, localhost"
