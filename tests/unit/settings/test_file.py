import os
import socket
from pathlib import Path

import pytest

from devsynthd.settings.file import MAX_FILE_BYTES, given_by_file, load_settings
from devsynthd.settings.schema import Settings
from devsynthd.wire.errors import ConfigInvalid
from tests.support.second_user import run_as_second_user


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def refusal_of(path: Path) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load_settings(path, {}, {})
    return str(caught.value)


def test_a_missing_file_means_defaults(path: Path) -> None:
    loaded = load_settings(path, {}, {})

    assert loaded.settings == Settings()
    assert not loaded.exists


def test_a_missing_folder_and_a_dangling_link_mean_defaults(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")

    assert not load_settings(path, {}, {}).exists
    assert not load_settings(path.parent / "none" / "config.toml", {}, {}).exists


def test_an_empty_file_means_defaults_too(path: Path) -> None:
    path.touch()

    loaded = load_settings(path, {}, {})

    assert loaded.settings == Settings()
    assert loaded.exists


def test_the_null_device_is_an_empty_file() -> None:
    assert load_settings(Path("/dev/null"), {}, {}).exists


def test_a_device_that_has_nothing_yet_is_an_empty_file() -> None:
    assert load_settings(Path("/dev/ptmx"), {}, {}).exists


def test_all_sources_meet(path: Path) -> None:
    path.write_text("[llm]\nmodel = 'file'\nmax_tokens = 7\n[daemon]\nlog_level = 'error'\n")
    environ = {"DEVSYNTH_LLM_MODEL": "env", "DEVSYNTH_DAEMON_LOG_LEVEL": "warning"}

    loaded = load_settings(path, environ, {"daemon_log_level": "debug"})

    assert loaded.settings == Settings(llm_model="env", llm_max_tokens=7, daemon_log_level="debug")
    assert loaded.sources["llm_max_tokens"] == "file"
    assert loaded.overrides == ("llm_model", "daemon_log_level")


def test_the_errors_of_all_sources_are_told_at_once(path: Path) -> None:
    path.write_text("[llm]\nmax_tokens = 0\n")

    with pytest.raises(ConfigInvalid) as caught:
        load_settings(path, {"DEVSYNTH_LLM_TEMPERATURE": "3"}, {"daemon_log_level": "loud"})

    flag, variable, file = str(caught.value).split("\n")
    assert flag.startswith("--log-level = 'loud'")
    assert variable.startswith("DEVSYNTH_LLM_TEMPERATURE = '3'")
    assert file.startswith(f"{path}, line 2: [llm] max_tokens = 0")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == f"{tmp_path} cannot be read: it is a folder, not a file"
    given = given_by_file(tmp_path)
    assert given
    assert "name another file" in given.remedy


def test_a_pipe_that_nobody_writes_to_does_not_hang(path: Path) -> None:
    os.mkfifo(path)

    assert refusal_of(path) == f"{path} cannot be read: it is a pipe, not a file"


def test_a_socket_is_refused(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_dir / "s"))

        assert "cannot be read" in refusal_of(short_dir / "s")


def test_a_path_through_a_file_is_refused(path: Path) -> None:
    path.touch()

    assert refusal_of(path / "config.toml").endswith("cannot be read: Not a directory")


def test_the_biggest_file_is_read_and_one_byte_more_is_refused(path: Path) -> None:
    path.write_bytes(b"#" * MAX_FILE_BYTES)
    assert load_settings(path, {}, {}).exists

    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert refusal_of(path) == f"{path} cannot be read: it is bigger than 65536 bytes"


def test_a_file_that_may_not_be_read_is_refused(short_dir: Path) -> None:
    path = short_dir / "config.toml"
    path.touch(mode=0o600)
    short_dir.chmod(0o755)

    with pytest.raises(ConfigInvalid, match="cannot be read: Permission denied") as caught:
        run_as_second_user(load_settings, path, {}, {})
    assert caught.value.hint == f"make it readable for this user: chmod u+r {path}"


def test_a_file_that_is_not_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\x7fELF\xff\xfe")

    assert refusal_of(path) == f"{path}, line 1: this is not UTF-8 text"
