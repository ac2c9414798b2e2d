"""A config file that is not valid: nothing changes, and that is told until it is mended."""

import logging
import shutil
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.service.asking import error, result
from tests.service.settings_asking import basic, in_force, save, wait_config
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_server import UpstreamServer


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "config.toml"


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_big_as_100_mb(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 2**20)


def as_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


BAD = [
    (lambda path: path.write_text("[llm]\nmodel = \n"), "line 2, column 9: this is not TOML"),
    (lambda path: path.write_bytes(b"[llm]\nmodel = 'caf\xe9'\n"), "line 2: this is not UTF-8"),
    (as_folder, "cannot be read: it is a folder, not a file"),
    (as_loop, "cannot be read: Too many levels of symbolic links"),
    (as_big_as_100_mb, "cannot be read: it is bigger than 65536 bytes"),
    (lambda path: path.write_text("[llm]\nmodle = 'a'\n"), "did you mean [llm] model?"),
    (lambda path: path.write_text("[llm]\nmax_tokens = 'x'\n"), "line 2: [llm] max_tokens = 'x'"),
    (lambda path: path.write_text("[llm]\n\ntemperature = 3\n"), "a number from 0 to 2"),
    (
        lambda path: path.write_text("[llm]\nca_bundle = '/none'\n"),
        "/none is not a file of CA certificates",
    ),
    (
        lambda path: path.write_text("[embedded]\nenabled='always'\nmodel_path='/none.gguf'\n"),
        "/none.gguf is not a file that can be read",
    ),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_file_changes_nothing_and_is_told_until_it_is_good(
    short_dir: Path,
    path: Path,
    upstream: UpstreamServer,
    caplog: pytest.LogCaptureFixture,
    spoil: Any,  # noqa: ANN401 - a column
    told: str,
) -> None:
    given = basic(upstream, llm_max_tokens=7)
    with caplog.at_level(logging.INFO), start_daemon(short_dir, upstream, **given) as daemon:
        dealer = daemon.dealer()
        before = wait_config(dealer, valid=True)["config_generation"]

        spoil(path)

        config = wait_config(dealer, valid=False)
        assert str(path) in config["error"] or "/none" in config["error"]
        assert told in config["error"]
        assert config["config_generation"] == before
        problem = error(dealer.ask(op="reload", id=1))
        assert problem["code"] == "config_invalid"
        assert told in problem["message"]
        assert in_force(dealer, "llm_max_tokens") == 7
        assert result(dealer.ask(op="generate", id=2, prompt="x"))["text"] == "Hello world"

        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        save(path, **given)
        config = wait_config(dealer, valid=True)
        assert config["error"] is None
        assert config["config_generation"] == before

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1, "it is logged once, not at each look"
    assert told in warnings[0].getMessage()
    assert f"{path} is valid again" in caplog.text


def test_a_file_that_a_setting_names_is_waited_for(
    dealer: Dealer, short_dir: Path, path: Path
) -> None:
    text = path.read_text()
    bundle = short_dir / "ca.pem"
    path.write_text(text.replace("[llm]", f"[llm]\nca_bundle = '{bundle}'"))
    wait_config(dealer, valid=False)

    shutil.copy(certifi.where(), bundle)

    wait_config(dealer, valid=True)
    assert in_force(dealer, "llm_ca_bundle") == str(bundle)
