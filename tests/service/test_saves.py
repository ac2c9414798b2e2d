"""Every way in which people and programs save the config file is noticed, and so is no other."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthd.settings.watcher import TICK_S
from tests.service.asking import result
from tests.service.settings_asking import in_force, wait_config, wait_in_force
from tests.support.daemon import Dealer, start_daemon, toml_of
from tests.support.upstream_server import free_port

KEY = "llm_max_tokens"

Save = Callable[[Path, str], None]


def text_of(value: int) -> str:
    base = f"http://127.0.0.1:{free_port()}/v1"
    return toml_of(
        {
            "llm_provider": "openai",
            "llm_api_base": base,
            "llm_idle_timeout": 100 + value,
            KEY: value,
        }
    )


def wait_noticed(dealer: Dealer, value: int) -> None:
    """Wait until *value* is in force, sooner than the look that is taken in any case."""
    started = time.monotonic()
    wait_in_force(dealer, KEY, value)
    assert time.monotonic() - started < TICK_S - 1


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def in_place_in_pieces(path: Path, text: str) -> None:
    with path.open("w") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()


def renamed_over(path: Path, text: str) -> None:
    new = path.with_name(".config.toml.swp")
    new.write_text(text)
    new.replace(path)


def deleted_and_created(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def backed_up_by_renaming(path: Path, text: str) -> None:
    """As vim does with ``backupcopy=no``."""
    backup = path.with_name("config.toml~")
    path.rename(backup)
    path.write_text(text)
    backup.unlink()


def moved_from_elsewhere(path: Path, text: str) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "new").write_text(text)
    (elsewhere / "new").replace(path)


def ten_in_a_burst(path: Path, text: str) -> None:
    for number in range(9):
        renamed_over(path, text_of(500 + number))
    renamed_over(path, text)


def with_a_mistake_first(path: Path, text: str) -> None:
    path.write_text("max_tokens = ")
    path.write_text(text)


def with_the_folder_made_anew(path: Path, text: str) -> None:
    path.parent.rename(path.parent.parent / "old")
    path.parent.mkdir()
    path.write_text(text)


@pytest.mark.parametrize(
    "save",
    [
        in_place,
        in_place_in_pieces,
        renamed_over,
        deleted_and_created,
        backed_up_by_renaming,
        moved_from_elsewhere,
        ten_in_a_burst,
        with_a_mistake_first,
        with_the_folder_made_anew,
    ],
    ids=lambda save: save.__name__,
)
def test_a_plain_file(short_dir: Path, save: Save) -> None:
    path = short_dir / "etc" / "config.toml"
    path.parent.mkdir()
    path.write_text(text_of(1))
    with start_daemon(short_dir, "unused", config=path) as daemon:
        dealer = daemon.dealer()
        assert in_force(dealer, KEY) == 1

        for value in (2, 3):  # not only the first time
            if path.parent.with_name("old").exists():
                shutil.rmtree(path.parent.with_name("old"))
            save(path, text_of(value))
            wait_noticed(dealer, value)
            assert in_force(dealer, "llm_idle_timeout") == 100 + value


class Kubernetes:
    """A folder as a ConfigMap is mounted: the file, by two links, in a folder that is swapped."""

    def __init__(self, folder: Path, text: str) -> None:
        self._mount, self._versions = folder / "mount", 0
        self.path = self._mount / "config.toml"
        self._mount.mkdir()
        self.swap(text)
        self.path.symlink_to(Path("..data") / "config.toml")

    def swap(self, text: str) -> None:
        self._versions += 1
        version = self._mount / f"..{self._versions}"
        version.mkdir()
        (version / "config.toml").write_text(text)
        link, new = self._mount / "..data", self._mount / "..data_tmp"
        gone = link.readlink() if link.is_symlink() else None
        new.symlink_to(version.name)
        new.replace(link)
        if gone:
            shutil.rmtree(self._mount / gone)


class NixFile:
    """A link into a store whose files never change; a new one takes the place of the link."""

    def __init__(self, folder: Path, text: str) -> None:
        self._store, self._versions = folder / "store", 0
        self.path = folder / "home" / "config.toml"
        self.path.parent.mkdir()
        self._store.mkdir()
        self.swap(text)

    def swap(self, text: str) -> None:
        self._versions += 1
        file = self._store / f"{self._versions}-config.toml"
        file.write_text(text)
        file.chmod(0o444)
        new = self.path.with_name("new")
        new.symlink_to(file)
        new.replace(self.path)


class NixFolder:
    """The same where the folder of the file is the link."""

    def __init__(self, folder: Path, text: str) -> None:
        self._store, self._versions = folder / "store", 0
        self._link = folder / "home" / "devsynth"
        self.path = self._link / "config.toml"
        self._link.parent.mkdir()
        self.swap(text)

    def swap(self, text: str) -> None:
        self._versions += 1
        version = self._store / str(self._versions)
        version.mkdir(parents=True)
        (version / "config.toml").write_text(text)
        new = self._link.with_name("new")
        new.symlink_to(version)
        new.replace(self._link)


class LinkedTarget:
    """A link to a file that is kept elsewhere, as with dotfiles, and edited there."""

    def __init__(self, folder: Path, text: str) -> None:
        self.path = folder / "home.toml"
        self._target = folder / "dotfiles" / "devsynth.toml"
        self._target.parent.mkdir()
        self.swap(text)
        self.path.symlink_to(self._target)

    def swap(self, text: str) -> None:
        renamed_over(self._target, text)


@pytest.mark.parametrize("kind", [Kubernetes, NixFile, NixFolder, LinkedTarget])
def test_a_file_behind_links(
    short_dir: Path, kind: type[Kubernetes | NixFile | NixFolder | LinkedTarget]
) -> None:
    file = kind(short_dir, text_of(1))
    with start_daemon(short_dir, "unused", config=file.path) as daemon:
        dealer = daemon.dealer()
        assert in_force(dealer, KEY) == 1

        for value in (2, 3):
            file.swap(text_of(value))
            wait_noticed(dealer, value)


def test_a_file_whose_folder_comes_later(short_dir: Path) -> None:
    path = short_dir / "not" / "yet" / "config.toml"
    with start_daemon(short_dir, "unused", config=path) as daemon:
        dealer = daemon.dealer()
        assert wait_config(dealer, exists=False)["valid"] is True

        path.parent.mkdir(parents=True)
        path.write_text(text_of(2))
        wait_noticed(dealer, 2)
        in_place(path, text_of(3))
        wait_noticed(dealer, 3)


def test_a_folder_that_was_made_anew_is_watched_from_then_on(short_dir: Path) -> None:
    path = short_dir / "etc" / "config.toml"
    path.parent.mkdir()
    path.write_text(text_of(1))
    with start_daemon(short_dir, "unused", config=path) as daemon:
        dealer = daemon.dealer()
        with_the_folder_made_anew(path, text_of(2))
        wait_noticed(dealer, 2)

        in_place(path, text_of(3))

        wait_noticed(dealer, 3)


def test_a_deleted_file_means_defaults(short_dir: Path) -> None:
    path = short_dir / "config.toml"
    path.write_text(text_of(2))
    with start_daemon(short_dir, "unused", config=path) as daemon:
        dealer = daemon.dealer()

        path.unlink()

        wait_config(dealer, exists=False)
        assert in_force(dealer, KEY) == 1024


def test_a_moment_without_the_file_is_no_moment_with_defaults(
    short_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However long it takes from deleting to creating, up to a limit: nothing else is in force."""
    path = short_dir / "config.toml"
    path.write_text(text_of(2))
    with start_daemon(short_dir, "unused", config=path) as daemon, caplog.at_level("INFO"):
        dealer = daemon.dealer()
        for value in range(3, 10):
            deleted_and_created(path, text_of(value))
            wait_noticed(dealer, value)

    assert "1024" not in caplog.text


def test_what_changes_nothing_is_no_change(short_dir: Path) -> None:
    path = short_dir / "config.toml"
    path.write_text(text := text_of(2))
    with start_daemon(short_dir, "unused", config=path) as daemon:
        dealer = daemon.dealer()
        before = wait_config(dealer, valid=True)["config_generation"]

        path.write_text(f"# a comment\n{text}")
        os.utime(path)
        (short_dir / "another file").touch()
        renamed_over(path, text.replace(f"{KEY[4:]} = 2", f"{KEY[4:]} = 3"))
        wait_noticed(dealer, 3)

        assert wait_config(dealer, valid=True)["config_generation"] == before + 1
        assert result(dealer.ask(op="reload", id=1)) == {
            "config_generation": before + 1,
            "changed": [],
        }
