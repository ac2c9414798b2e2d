import fcntl
import multiprocessing
import os
import resource
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from devsynthd.settings.document import given_by_toml
from devsynthd.settings.file import MAX_FILE_BYTES
from devsynthd.settings.store import MAX_TRIES, edit_file, replace_file, try_lock
from devsynthd.wire.errors import ConfigInvalid
from tests.support.needs import missing, need_root
from tests.support.second_user import run_as_second_user, second_user

TEXT = b'# mine\n[llm]\nmodel = "a" # c\n'
CHANGED = TEXT.replace(b'"a"', b'"b"')
EDITS = {"llm_model": "b"}


def accept(_: bytes) -> None:
    pass


def refuse(_: bytes) -> None:
    raise ConfigInvalid("no")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "devsynth"


@pytest.fixture
def path(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    path = folder / "config.toml"
    path.write_bytes(TEXT)
    return path


def names(folder: Path) -> list[str]:
    """Return what is in *folder*: a temporary file that was forgotten would show."""
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def marks(path: Path) -> tuple[int, int]:
    """Return what is different after every write."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def refusal_of(function: Callable[..., object], *args: object, **kwargs: object) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        function(*args, **kwargs)
    assert caught.value.hint
    return caught.value


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of *folder*, as another writer would."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


# What is written ---------------------------------------------------------------------------


def test_a_setting_is_changed_and_the_rest_stays(path: Path) -> None:
    assert edit_file(path, EDITS, accept) == CHANGED

    assert path.read_bytes() == CHANGED
    assert names(path.parent) == ["config.toml"]


def test_who_approves_is_shown_what_is_written(path: Path) -> None:
    shown: list[bytes] = []

    edit_file(path, EDITS, shown.append)

    assert shown == [CHANGED]


def test_a_missing_file_is_made_for_its_owner_alone(folder: Path) -> None:
    folder.mkdir()

    assert edit_file(folder / "config.toml", EDITS, accept) == b'[llm]\nmodel = "b"\n'

    assert (folder / "config.toml").read_bytes() == b'[llm]\nmodel = "b"\n'
    assert mode(folder / "config.toml") == 0o600


def test_missing_folders_are_made_for_their_owner_alone(folder: Path) -> None:
    edit_file(folder / "of" / "mine" / "config.toml", EDITS, accept)

    made = [folder, folder / "of", folder / "of" / "mine"]
    assert [mode(each) for each in made] == [0o700] * 3


@pytest.mark.parametrize("edits", [{}, {"llm_model": "a"}, {"llm_max_tokens": None}])
def test_a_file_that_says_so_already_is_approved_and_not_touched(
    path: Path, edits: dict[str, str | None]
) -> None:
    before, shown = marks(path), list[bytes]()

    assert edit_file(path, edits, shown.append) == TEXT

    assert shown == [TEXT]
    assert marks(path) == before


def test_nothing_is_made_in_order_to_remove_a_setting(folder: Path) -> None:
    shown: list[bytes] = []

    assert edit_file(folder / "config.toml", {"llm_model": None}, shown.append) == b""

    assert shown == [b""]
    assert not folder.exists()


def test_line_ends_and_a_bom_are_kept(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf[llm]\r\nmodel = "a"')

    assert edit_file(path, EDITS, accept) == b'\xef\xbb\xbf[llm]\r\nmodel = "b"'


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o400])
def test_the_mode_is_kept(path: Path, bits: int) -> None:
    if not bits & stat.S_IWUSR:
        need_root()  # who may write what is read-only
    path.chmod(bits)

    edit_file(path, EDITS, accept)

    assert path.read_bytes() == CHANGED
    assert mode(path) == bits


def test_owner_and_group_are_kept(path: Path) -> None:
    need_root()
    os.chown(path, 12345, 54321)
    path.chmod(0o640)

    edit_file(path, EDITS, accept)

    status = path.stat()
    assert (status.st_uid, status.st_gid, mode(path)) == (12345, 54321, 0o640)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an access control list of (tag, permissions, id), as the kernel takes it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_an_access_control_list_is_kept(path: Path) -> None:
    nobody = 0xFFFFFFFF
    entries = ((1, 6, nobody), (2, 4, 12345), (4, 0, nobody), (16, 4, nobody), (32, 0, nobody))
    try:
        os.setxattr(path, "system.posix_acl_access", acl(*entries))
    except (OSError, AttributeError):
        missing("a file system with access control lists", "run the tests on Linux, on ext4 or xfs")
    before = mode(path)

    edit_file(path, EDITS, accept)

    assert os.getxattr(path, "system.posix_acl_access") == acl(*entries)
    assert mode(path) == before


def test_an_empty_file_has_a_moment_to_be_filled(path: Path) -> None:
    """As by an editor that saves in place: it empties the file first."""
    with path.open("wb") as file:

        def finish() -> None:
            file.write(TEXT)
            file.flush()

        timer = threading.Timer(0.1, finish)
        timer.start()
        edit_file(path, EDITS, accept, settle_s=2)
        timer.join()

    assert path.read_bytes() == CHANGED


def test_the_file_of_somebody_else_can_be_written_if_its_mode_allows(short_dir: Path) -> None:
    path = short_dir / "config.toml"
    path.write_bytes(TEXT)
    path.chmod(0o666)
    short_dir.chmod(0o777)

    assert run_as_second_user(edit_file, path, EDITS, accept) == CHANGED

    assert path.stat().st_uid == second_user().pw_uid
    assert mode(path) == 0o666


# Symlinks ----------------------------------------------------------------------------------


def test_links_stay_and_their_target_changes(path: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    first, second = tmp_path / "first.toml", tmp_path / "links" / "second.toml"
    first.symlink_to("links/second.toml")
    second.symlink_to(path)

    assert edit_file(first, EDITS, accept) == CHANGED

    assert first.readlink() == Path("links/second.toml")
    assert second.readlink() == path
    assert not path.is_symlink()
    assert path.read_bytes() == CHANGED
    assert names(tmp_path / "links") == ["second.toml"]


def test_the_missing_target_of_a_link_is_made(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "config.toml"
    link.symlink_to("devsynth/mine.toml")

    edit_file(link, EDITS, accept)

    assert link.is_symlink()
    assert names(folder) == ["mine.toml"]
    assert mode(folder / "mine.toml") == 0o600
    assert mode(folder) == 0o700


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    link = tmp_path / "config.toml"
    link.symlink_to("other.toml")
    (tmp_path / "other.toml").symlink_to("config.toml")

    refusal = refusal_of(edit_file, link, EDITS, accept)

    assert str(refusal) == f"{link} cannot be written: Too many levels of symbolic links"
    assert names(tmp_path) == ["config.toml", "other.toml"]


# What is refused ---------------------------------------------------------------------------


def test_a_file_stays_as_it_is_if_that_is_not_approved(path: Path) -> None:
    before = marks(path)

    with pytest.raises(ConfigInvalid, match=r"^no$"):
        edit_file(path, EDITS, refuse)

    assert marks(path) == before
    assert names(path.parent) == ["config.toml"]


def test_nothing_is_made_if_that_is_not_approved(folder: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"^no$"):
        edit_file(folder / "config.toml", EDITS, refuse)

    assert not folder.exists()


def test_a_file_that_is_not_toml_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"[llm]\nmodel = ")
    before = marks(path)

    refusal = refusal_of(edit_file, path, EDITS, accept)

    assert str(refusal).startswith(f"{path}, line 2, column 9: this is not TOML")
    assert marks(path) == before


def test_a_file_that_is_not_text_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"[llm]\n# gr\xfc\xdfe\n")
    before = marks(path)

    refusal = refusal_of(edit_file, path, EDITS, accept)

    assert str(refusal) == f"{path} cannot be written: its line 2 is not UTF-8 text"
    assert marks(path) == before


def test_no_folder_is_taken_for_a_file(tmp_path: Path) -> None:
    refusal = refusal_of(edit_file, tmp_path, EDITS, accept)

    assert str(refusal) == f"{tmp_path} cannot be written: it is not a regular file"


def test_no_pipe_is_taken_for_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    refusal = refusal_of(edit_file, tmp_path / "pipe", EDITS, accept)

    assert str(refusal) == f"{tmp_path / 'pipe'} cannot be written: it is not a regular file"


def test_no_socket_is_taken_for_a_file(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_dir / "s"))

        assert "it is not a regular file" in str(refusal_of(edit_file, short_dir / "s", {}, accept))


def test_the_null_device_stays_one(tmp_path: Path) -> None:
    """A device made for this test: where it fails, the machine's own must not suffer."""
    need_root()
    device = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))

    refusal = refusal_of(edit_file, device, EDITS, accept)

    assert str(refusal) == f"{device} cannot be written: it is not a regular file"
    assert device.is_char_device()


def test_a_path_through_a_file_is_refused(path: Path) -> None:
    below = path / "config.toml"

    assert str(refusal_of(edit_file, below, EDITS, accept)) == (
        f"{below} cannot be written: Not a directory"
    )


def test_a_file_that_is_too_big_is_refused(path: Path) -> None:
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))

    refusal = refusal_of(edit_file, path, EDITS, accept)

    assert str(refusal) == f"{path} cannot be written: it is bigger than 65536 bytes"


def test_a_file_that_would_be_too_big_stays_as_it_is(path: Path) -> None:
    big = b"#" * (MAX_FILE_BYTES - 5)
    path.write_bytes(big)

    refusal = refusal_of(edit_file, path, EDITS, accept)

    assert str(refusal) == f"{path} cannot be written: it would be bigger than 65536 bytes"
    assert path.read_bytes() == big
    assert names(path.parent) == ["config.toml"]


def test_a_file_that_is_read_only_stays_as_it_is(short_dir: Path) -> None:
    need_root()
    path = short_dir / "config.toml"
    path.write_bytes(TEXT)
    path.chmod(0o444)
    os.chown(path, second_user().pw_uid, -1)
    os.chown(short_dir, second_user().pw_uid, -1)

    with pytest.raises(ConfigInvalid) as caught:
        run_as_second_user(edit_file, path, EDITS, accept)

    assert str(caught.value) == f"{path} cannot be written: it is read-only for this user"
    assert "ls -la" in str(caught.value.hint)
    assert path.read_bytes() == TEXT
    assert names(short_dir) == ["config.toml"]


def test_a_file_in_a_folder_of_somebody_else_stays_as_it_is(short_dir: Path) -> None:
    path = short_dir / "config.toml"
    path.write_bytes(TEXT)
    path.chmod(0o666)
    short_dir.chmod(0o755)

    with pytest.raises(ConfigInvalid) as caught:
        run_as_second_user(edit_file, path, EDITS, accept)

    assert str(caught.value) == f"{path} cannot be written: Permission denied"
    assert path.read_bytes() == TEXT


def test_no_folder_is_made_where_this_user_may_not(short_dir: Path) -> None:
    short_dir.chmod(0o755)
    path = short_dir / "devsynth" / "config.toml"

    with pytest.raises(ConfigInvalid) as caught:
        run_as_second_user(edit_file, path, EDITS, accept)

    assert str(caught.value) == f"{path} cannot be written: Permission denied"


def edit_without_room(path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(TEXT), hard))
    edit_file(path, {"llm_max_tokens": 5}, accept)


def test_a_file_stays_as_it_is_where_there_is_no_room_for_more(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        refusal = pool.submit(edit_without_room, path).exception()

    assert str(refusal) == f"{path} cannot be written: File too large"
    assert isinstance(refusal, ConfigInvalid)
    assert "make room" in str(refusal.hint)
    assert path.read_bytes() == TEXT
    assert names(path.parent) == ["config.toml"]


# Other writers -----------------------------------------------------------------------------


class Editor:
    """Saves the file the first *times* that it is about to change, as vim does: without a lock."""

    def __init__(self, path: Path, times: int) -> None:
        self._path, self._times = path, times
        self.shown: list[bytes] = []

    def __call__(self, content: bytes) -> None:
        self.shown.append(content)
        if len(self.shown) <= self._times:
            number = len(self.shown)
            self._path.with_name("saved").write_text(f"# {number}\n[llm]\nmax_tokens = {number}\n")
            self._path.with_name("saved").replace(self._path)


@pytest.mark.parametrize("times", range(1, MAX_TRIES + 1))
def test_what_an_editor_saves_meanwhile_is_not_lost(path: Path, times: int) -> None:
    editor = Editor(path, times)

    content = edit_file(path, EDITS, editor)

    assert content.decode() == f'# {times}\n[llm]\nmax_tokens = {times}\nmodel = "b"\n'
    assert path.read_bytes() == content == editor.shown[-1]
    assert names(path.parent) == ["config.toml"]


def test_an_editor_that_saves_all_the_time_wins(path: Path) -> None:
    editor = Editor(path, 1000)

    refusal = refusal_of(edit_file, path, EDITS, editor)

    assert str(refusal) == f"{path} cannot be written: somebody else keeps changing it"
    assert path.read_text().startswith(f"# {len(editor.shown)}\n")
    assert names(path.parent) == ["config.toml"]


def test_a_file_that_an_editor_removes_meanwhile_is_made_anew(path: Path) -> None:
    content = edit_file(path, EDITS, lambda _: path.unlink(missing_ok=True))

    assert content == path.read_bytes() == b'[llm]\nmodel = "b"\n'


def test_a_change_that_somebody_else_has_made_meanwhile_is_left_to_them(path: Path) -> None:
    other = CHANGED + b"# other\n"

    def save(_: bytes) -> None:
        path.write_bytes(other)

    assert edit_file(path, EDITS, save) == other

    assert path.read_bytes() == other


def test_a_lock_is_not_waited_for_forever(path: Path) -> None:
    with locked(path.parent):
        refusal = refusal_of(edit_file, path, EDITS, accept, lock_s=0)

    assert str(refusal) == f"{path} cannot be written: somebody else keeps {path.parent} locked"
    assert path.read_bytes() == TEXT
    assert names(path.parent) == ["config.toml"]


def test_a_lock_is_waited_for(path: Path) -> None:
    held, wanted = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path.parent):
            held.set()
            wanted.wait()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        held.wait()
        edit_file(path, EDITS, lambda _: wanted.set())
        holder.result()

    assert path.read_bytes() == CHANGED


def test_the_lock_is_given_back(path: Path) -> None:
    edit_file(path, EDITS, accept)
    refusal_of(edit_file, path, {"llm_model": "c"}, Editor(path, 1000))

    with locked(path.parent):
        pass


def test_what_changes_nothing_needs_no_lock(path: Path) -> None:
    with locked(path.parent):
        assert edit_file(path, {"llm_model": "a"}, accept, lock_s=0) == TEXT


def test_a_file_system_without_locks_is_no_obstacle() -> None:
    not_open = 10**6  # EBADF, as NFS says when a folder is to be locked

    assert try_lock(not_open)


WRITERS = [
    ["llm_max_tokens", "llm_idle_timeout"],
    ["daemon_queue_limit", "daemon_shutdown_grace"],
    ["daemon_max_concurrency", "daemon_poll_interval"],
    ["embedded_threads", "embedded_context_length"],
]
WRITES = 12


def write_often(path: Path, key: str) -> None:
    for number in range(1, WRITES + 1):
        content = edit_file(path, {key: number}, accept, lock_s=15)
        assert given_by_toml(content, "F").values[key] == number


def write_often_on_threads(path: Path, keys: list[str]) -> None:
    with ThreadPoolExecutor(len(keys)) as pool:
        for done in [pool.submit(write_often, path, key) for key in keys]:
            done.result()


@pytest.mark.parametrize("text", [TEXT, None], ids=["a file", "no folder"])
def test_many_writers_lose_nothing(folder: Path, text: bytes | None) -> None:
    path = folder / "config.toml"
    if text:
        replace_file(path, text, expected=None)
    spawn = multiprocessing.get_context("spawn")

    with ProcessPoolExecutor(len(WRITERS), mp_context=spawn) as pool:
        for done in [pool.submit(write_often_on_threads, path, keys) for keys in WRITERS]:
            done.result()

    before = given_by_toml(text or b"", "F").values
    wanted = dict.fromkeys((key for keys in WRITERS for key in keys), WRITES)
    assert given_by_toml(path.read_bytes(), "F").values == {**before, **wanted}
    assert path.read_bytes().startswith(text or b"[")
    assert names(folder) == ["config.toml"]


# Whole files -------------------------------------------------------------------------------


def test_a_file_is_replaced_that_is_as_expected(path: Path) -> None:
    path.chmod(0o640)

    replace_file(path, b"anything \xff", expected=TEXT)

    assert path.read_bytes() == b"anything \xff"
    assert mode(path) == 0o640
    assert names(path.parent) == ["config.toml"]


@pytest.mark.parametrize("content", [b"# new\n", b""])
def test_a_file_is_made_where_none_is_expected(folder: Path, content: bytes) -> None:
    replace_file(folder / "config.toml", content, expected=None)

    assert (folder / "config.toml").read_bytes() == content
    assert mode(folder / "config.toml") == 0o600
    assert mode(folder) == 0o700


@pytest.mark.parametrize("expected", [b"", b"# other\n", None])
def test_a_file_that_has_changed_stays_as_it_is(path: Path, expected: bytes | None) -> None:
    before = marks(path)

    refusal = refusal_of(replace_file, path, CHANGED, expected=expected)

    assert str(refusal).startswith(f"{path} was changed by somebody else meanwhile")
    assert marks(path) == before
    assert names(path.parent) == ["config.toml"]


@pytest.mark.parametrize("expected", [TEXT, b""])
def test_a_file_that_is_gone_is_not_made_again(folder: Path, expected: bytes) -> None:
    refusal = refusal_of(replace_file, folder / "config.toml", CHANGED, expected=expected)

    assert "was changed by somebody else" in str(refusal)
    assert not folder.exists()


@pytest.mark.parametrize("expected", [TEXT, b"", None])
def test_a_file_that_holds_the_content_already_is_not_touched(
    path: Path, expected: bytes | None
) -> None:
    before = marks(path)

    replace_file(path, TEXT, expected=expected)

    assert marks(path) == before


def test_an_empty_file_is_not_taken_for_none(path: Path) -> None:
    path.write_bytes(b"")

    assert "was changed" in str(refusal_of(replace_file, path, TEXT, expected=None))


def test_a_file_is_replaced_behind_its_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(path)

    replace_file(link, CHANGED, expected=TEXT)

    assert link.is_symlink()
    assert path.read_bytes() == CHANGED


def test_a_file_is_not_replaced_under_the_lock_of_another(path: Path) -> None:
    with locked(path.parent):
        refusal = refusal_of(replace_file, path, CHANGED, expected=TEXT, lock_s=0)

    assert "locked" in str(refusal)
    assert path.read_bytes() == TEXT
