"""``devsynthd``: its options, and how it refuses what it cannot run with."""

from pathlib import Path

import pytest

from devsynthd import __version__
from tests.process.conftest import Run

EXIT_USAGE, EXIT_CONFIG = 2, 78


def test_help_names_every_option(devsynthd: Run) -> None:
    outcome = devsynthd("--help")

    assert outcome.returncode == 0
    for option in ("--config", "--socket", "--log-level", "--log-format", "--check", "--version"):
        assert option in outcome.stdout
    assert "devsynthctl shutdown" in outcome.stdout


def test_version(devsynthd: Run) -> None:
    outcome = devsynthd("--version")

    assert (outcome.returncode, outcome.stdout) == (0, f"devsynthd {__version__}\n")


@pytest.mark.parametrize("arguments", [["--sokcet", "x"], ["extra"], ["--config"]])
def test_a_usage_error_is_2(devsynthd: Run, arguments: list[str]) -> None:
    outcome = devsynthd(*arguments)

    assert outcome.returncode == EXIT_USAGE
    assert arguments[0] in outcome.stderr


# --check ---------------------------------------------------------------------------------------


def test_check_of_a_valid_file(devsynthd: Run, short_dir: Path) -> None:
    (short_dir / "config.toml").write_text("[llm]\nmodel = 'a'\n")

    outcome = devsynthd("--check")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout == f"{short_dir}/config.toml is valid\n"
    assert not (short_dir / "s.sock.lock").exists()


def test_check_without_a_file(devsynthd: Run, short_dir: Path) -> None:
    outcome = devsynthd("--check", DEVSYNTH_CONFIG="", HOME=str(short_dir), XDG_CONFIG_HOME="")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"{short_dir}/")
    assert outcome.stdout.endswith("/config.toml does not exist: the defaults hold\n")


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_file_that_was_named_and_is_not_there_is_warned_about(
    devsynthd: Run, short_dir: Path, by: str
) -> None:
    path = str(short_dir / "none.toml")
    outcome = (
        devsynthd("--check", "--config", path)
        if by == "option"
        else devsynthd("--check", DEVSYNTH_CONFIG=path)
    )

    assert outcome.returncode == 0
    assert outcome.stderr == (
        f"devsynthd: warning: {path}, which was named as the config file, is not there: the"
        " defaults hold until it is\n"
    )


def test_check_takes_the_file_of_the_option(devsynthd: Run, short_dir: Path) -> None:
    (short_dir / "config.toml").write_text("[llm]\nmodel = 'a'\n")
    (short_dir / "other.toml").write_text("[llm]\nmodel = 1\n")

    assert devsynthd("--check").returncode == 0
    assert devsynthd("--check", "--config", str(short_dir / "other.toml")).returncode == EXIT_CONFIG


def test_check_tells_a_misspelled_variable(devsynthd: Run) -> None:
    outcome = devsynthd("--check", DEVSYNTH_LLM_MODLE="a")

    assert outcome.returncode == 0
    assert "warning: the variable DEVSYNTH_LLM_MODLE is ignored" in outcome.stderr
    assert "did you mean DEVSYNTH_LLM_MODEL?" in outcome.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[llm]\n\nmax_tokens = 0\n", "line 3: [llm] max_tokens = 0 is not allowed"),
        ("[llm]\nmodle = 'a'\n", "line 2: unknown key [llm] modle: did you mean [llm] model?"),
        ("[llm]\nmodel = \n", "line 2, column 9: this is not TOML"),
    ],
)
@pytest.mark.parametrize("check", [["--check"], []], ids=["check", "run"])
def test_an_invalid_file_is_told_by_file_line_and_key(
    devsynthd: Run, short_dir: Path, content: str, told: str, check: list[str]
) -> None:
    path = short_dir / "config.toml"
    path.write_text(content)

    outcome = devsynthd(*check)

    assert (outcome.returncode, outcome.stdout) == (EXIT_CONFIG, "")
    assert outcome.stderr.startswith(f"devsynthd: {path}, {told}")
    assert "hint: correct what is named above; `devsynthctl config edit`" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_every_fault_is_told(devsynthd: Run, short_dir: Path) -> None:
    (short_dir / "config.toml").write_text("[daemon]\npoll_interval = -1\nport = 1\n")

    told = devsynthd("--check", DEVSYNTH_LLM_TEMPERATURE="hot").stderr

    assert "DEVSYNTH_LLM_TEMPERATURE = 'hot'" in told
    assert "line 2: [daemon] poll_interval = -1" in told
    assert "line 3: unknown key [daemon] port" in told
    assert "hint: correct the variable, or clear it with `unset`; correct what is named" in told


def test_a_folder_is_no_config_file(devsynthd: Run, short_dir: Path) -> None:
    outcome = devsynthd("--config", str(short_dir))

    assert outcome.returncode == EXIT_CONFIG
    assert outcome.stderr.splitlines() == [
        f"devsynthd: {short_dir} cannot be read: it is a folder, not a file",
        "hint: name another file with --config or DEVSYNTH_CONFIG, or none for the usual one",
    ]


# Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVSYNTH_LLM_MAX_TOKENS", "many"),
        ("DEVSYNTH_LLM_API_BASE", "ftp://example.org"),
        ("DEVSYNTH_LLM_AUTO_SELECT_MODEL", "maybe"),
        ("DEVSYNTH_DAEMON_LOG_LEVEL", "loud"),
    ],
)
def test_an_invalid_variable_is_told(devsynthd: Run, name: str, value: str) -> None:
    outcome = devsynthd(**{name: value})

    assert outcome.returncode == EXIT_CONFIG
    assert outcome.stderr.startswith(f"devsynthd: {name} = '{value}' is not allowed: ")
    assert outcome.stderr.endswith("hint: correct the variable, or clear it with `unset`\n")
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("option", ["--log-level", "--log-format"])
def test_an_invalid_option_value_is_told(devsynthd: Run, option: str) -> None:
    outcome = devsynthd(option, "loud")

    assert outcome.returncode == EXIT_CONFIG
    assert f"{option} = 'loud' is not allowed" in outcome.stderr
    assert outcome.stderr.endswith("hint: correct the flag\n")


@pytest.mark.parametrize(
    "environ",
    [{"DEVSYNTH_LLM_PROVIDER": "embedded"}, {"DEVSYNTH_EMBEDDED_ENABLED": "always"}],
    ids=["the provider", "the stand-in"],
)
def test_an_engine_without_its_model_is_told_with_a_remedy(
    devsynthd: Run, short_dir: Path, environ: dict[str, str]
) -> None:
    model = short_dir / "missing.gguf"

    outcome = devsynthd("--check", DEVSYNTH_EMBEDDED_MODEL_PATH=str(model), **environ)

    assert outcome.returncode == EXIT_CONFIG
    assert str(model) in outcome.stderr or "xllamacpp" in outcome.stderr
    assert "pip install" in outcome.stderr


def test_a_ca_file_that_is_not_there_is_told(devsynthd: Run, short_dir: Path) -> None:
    bundle = short_dir / "missing.pem"

    outcome = devsynthd("--check", DEVSYNTH_LLM_CA_BUNDLE=str(bundle))

    assert outcome.returncode == EXIT_CONFIG
    assert str(bundle) in outcome.stderr


def test_an_engine_that_is_only_welcome_is_a_warning(devsynthd: Run, short_dir: Path) -> None:
    model = short_dir / "missing.gguf"

    outcome = devsynthd("--check", DEVSYNTH_EMBEDDED_MODEL_PATH=str(model))

    assert outcome.returncode == 0
    assert "warning: no embedded engine: " in outcome.stderr


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_tcp_address_is_refused_with_a_way_out(devsynthd: Run, by: str) -> None:
    address = "tcp://127.0.0.1:5555"
    outcome = (
        devsynthd("--socket", address) if by == "option" else devsynthd(DEVSYNTH_SOCKET=address)
    )

    assert outcome.returncode == EXIT_CONFIG
    assert "tcp://127.0.0.1:5555" in outcome.stderr
    assert "ssh -L" in outcome.stderr


def test_a_path_that_is_too_long_is_refused_with_its_length(
    devsynthd: Run, short_dir: Path
) -> None:
    path = str(short_dir / "s").ljust(200, "x")

    outcome = devsynthd("--socket", path)

    assert outcome.returncode == EXIT_CONFIG
    assert "the socket's path has 200 bytes" in outcome.stderr
    assert list(short_dir.iterdir()) == []


def test_a_path_that_cannot_be_had_is_told(devsynthd: Run, short_dir: Path) -> None:
    short_dir.chmod(0o770)

    outcome = devsynthd()

    assert outcome.returncode == 1
    assert f"devsynthd: others may write to the socket's directory {short_dir}" in outcome.stderr
    assert "Traceback" not in outcome.stderr
