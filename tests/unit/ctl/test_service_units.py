"""The units are made for one installation, whatever its paths look like."""

import shlex
from pathlib import Path

import pytest

from devsynthctl.service import units
from devsynthctl.service.shipped import shipped
from devsynthctl.service.wish import Spec, Told, Wish, spec_of

SERVICE = shipped("systemd", "devsynthd.service")
SOCKET = shipped("systemd", "devsynthd.socket")
TMP = "/tmp"  # noqa: S108 - nothing is put there
BARE = Spec(daemon=("/usr/bin/devsynthd",), ctl=("/usr/bin/devsynthctl",))


def values(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def spec(**fields: object) -> Spec:
    base = {name: getattr(BARE, name) for name in BARE.__struct_fields__}
    return Spec(**(base | fields))


def test_what_is_shipped_is_what_a_package_installs() -> None:
    assert units.service_unit(SERVICE, BARE) == SERVICE
    assert units.socket_unit(SOCKET, BARE) == SOCKET


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("/usr/bin/devsynthd",), "/usr/bin/devsynthd"),
        (("/a b/python", "-P", "-m", "devsynthd"), '"/a b/python" -P -m devsynthd'),
        (("/d", "--socket", "/100%/$HOME/s"), "/d --socket /100%%/$$HOME/s"),
        (("/d", 'a"b\\c'), '/d "a\\"b\\\\c"'),
        (("/d", "a;b"), '/d "a;b"'),
        (("/d", "é"), '/d "é"'),
    ],
)
def test_a_command_line_is_quoted_as_systemd_reads_it(command: tuple[str, ...], line: str) -> None:
    assert units.command_line(command) == line
    assert shlex.split(line.replace("%%", "%").replace("$$", "$")) == list(command)


def test_the_command_and_its_options_are_run() -> None:
    made = units.service_unit(
        SERVICE,
        spec(socket=Path("/s/d.sock"), config=Path("/c/config.toml"), writable=(Path("/c"),)),
    )

    assert values(made, "ExecStart") == [
        "/usr/bin/devsynthd --socket /s/d.sock --config /c/config.toml"
    ]
    assert values(made, "ExecReload") == [
        "/usr/bin/devsynthctl --socket /s/d.sock --timeout 30 reload"
    ]
    assert values(made, "ExecStartPre")[-1] == "-+mkdir -p /c"
    assert values(made, "ReadWritePaths")[-1] == "-/c -/s"
    assert values(made, "PrivateTmp") == ["yes"]
    assert units.exec_start(made) == values(made, "ExecStart")[0]


def test_a_folder_with_a_dollar_in_its_name_is_made_as_it_is() -> None:
    made = units.service_unit(SERVICE, spec(writable=(Path("/a $b"),)))
    assert values(made, "ExecStartPre")[-1] == '-+mkdir -p "/a $$b"'
    assert values(made, "ReadWritePaths")[-1] == '"-/a $b"'


def test_what_an_installed_unit_was_told_is_read_again() -> None:
    socket, config = Path("/my %s/$x.sock"), Path('/a "b"\\/c.toml')
    made = units.service_unit(SERVICE, spec(socket=socket, config=config))

    assert units.told_to(made) == Told(socket=socket, config=config)
    assert units.told_to(SERVICE) == Told()
    assert units.told_to("ExecStart=/d --socket '") == Told()


def test_the_socket_listens_where_it_is_told() -> None:
    made = units.socket_unit(SOCKET, spec(socket=Path("/my %s/d.sock")))
    assert values(made, "ListenStream") == ["/my %%s/d.sock"]


@pytest.mark.parametrize(
    "fields",
    [
        {"daemon": (f"{TMP}/venv/bin/devsynthd",)},
        {"socket": Path(f"/var{TMP}/d.sock")},
        {"writable": (Path(f"{TMP}/dotfiles"),)},
    ],
)
def test_what_lies_in_tmp_is_not_hidden(fields: dict[str, object]) -> None:
    assert values(units.service_unit(SERVICE, spec(**fields)), "PrivateTmp") == ["no"]


def test_a_unit_without_what_is_to_be_changed_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="ExecReload, ExecStart"):
        units.service_unit("[Service]\n", BARE)


def test_the_drop_in_turns_off_all_that_the_unit_has_and_needs_a_namespace() -> None:
    tried = {line.partition("=")[0] for line in units.sandbox_of(SERVICE)}
    with_paths = {"ReadWritePaths", "InaccessiblePaths"}

    assert tried | with_paths == set(units.NEEDS_USER_NAMESPACE)
    for key, off in units.NEEDS_USER_NAMESPACE.items():
        assert values(units.drop_in(), key) == [off]
        assert values(SERVICE, key)[0] != off


USUAL_SOCKET = Path("/run/user/7/devsynth/devsynthd.sock")
USUAL_CONFIG = Path("/home/a/.config/devsynth/config.toml")


def made_for(
    socket: Path = USUAL_SOCKET, config: Path = USUAL_CONFIG, target: Path | None = None
) -> Spec:
    """Return what goes into the units where the shell has *socket* and *config*."""
    wish = Wish(
        daemon=BARE.daemon,
        ctl=BARE.ctl,
        socket=socket,
        config=config,
        config_target=target or config,
    )
    return spec_of(wish, usual_socket=USUAL_SOCKET, usual_config=USUAL_CONFIG)


def test_what_a_service_uses_anyway_is_not_told_to_it() -> None:
    assert made_for() == BARE


def test_the_folder_behind_a_link_may_be_written_to() -> None:
    made = made_for(target=Path("/home/a/dotfiles/devsynth.toml"))
    assert made == spec(writable=(Path("/home/a/dotfiles"),))


def test_another_socket_and_another_file_are_told() -> None:
    other = Path("/etc/mine/c.toml")
    made = made_for(Path("/s"), other)
    assert made == spec(socket=Path("/s"), config=other, writable=(other.parent,))
