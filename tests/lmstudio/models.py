"""What LM Studio has on its disk, the models, and in memory, their instances.

One downloaded model may be loaded several times. The instances are told apart by their ids: the
first has the model's key for an id, the next ones ``key:2``, ``key:3`` and so on.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["llm", "vlm", "embedding"]  # a "vlm" is an llm that sees images

PARALLEL = 4  # answers at a time that an instance gives, since 0.4.0; it was one before


@dataclass(frozen=True, kw_only=True)
class Model:
    """A downloaded model. One key may be there twice, once a format or quantization."""

    key: str
    kind: Kind = "llm"
    publisher: str = "lmstudio-community"
    display_name: str = ""
    arch: str | None = "llama"
    quantization: str | None = "Q4_K_M"
    bits_per_weight: float | None = 4
    size_bytes: int = 2_500_000_000
    params: str | None = "4B"
    max_context_length: int = 32768
    default_context_length: int = 4096  # what an unasked load gets
    format: str | None = "gguf"
    tool_use: bool = True
    reasoning: tuple[str, ...] = ()  # allowed options; the last is the default
    experts: int | None = None
    variants: tuple[str, ...] = ()  # ``key@quantization``, only where there are several

    def answers_to(self, name: str) -> bool:
        """Return whether *name* is this model's key or one of its variants."""
        return name == self.key or name in self.variants

    @property
    def embeds(self) -> bool:
        """Whether it makes embeddings; the others write text."""
        return self.kind == "embedding"


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """How a model was loaded."""

    context_length: int
    eval_batch_size: int = 512
    parallel: int = PARALLEL
    flash_attention: bool = True
    num_experts: int | None = None
    offload_kv_cache_to_gpu: bool = True


@dataclass(eq=False, kw_only=True)
class Instance:
    """A model in memory, or on its way there until it is *ready*."""

    id: str
    model: Model
    config: LoadConfig
    ttl_s: float | None  # of idleness until it goes; None for one that was loaded explicitly
    used_s: float  # when the last request for it began
    ready: bool = False

    @property
    def just_in_time(self) -> bool:
        """Whether a request loaded it, and nobody asked for that by name."""
        return self.ttl_s is not None


CATALOG = (
    Model(
        key="google/gemma-4-26b-a4b",
        kind="vlm",
        publisher="google",
        display_name="Gemma 4 26B A4B",
        arch="gemma4",
        size_bytes=17990911801,
        params="26B-A4B",
        max_context_length=262144,
        reasoning=("off", "on"),
        experts=8,
        variants=("google/gemma-4-26b-a4b@q4_k_m",),
    ),
    Model(
        key="qwen/qwen3-4b",
        publisher="qwen",
        display_name="Qwen3 4B",
        arch="qwen3",
        size_bytes=2279145003,
    ),
    Model(
        key="liquid/lfm2-1.2b",
        publisher="liquid",
        display_name="LFM2 1.2B",
        arch="lfm2",
        quantization="4bit",
        size_bytes=663518484,
        params="1.2B",
        max_context_length=128000,
        format="mlx",
        tool_use=False,
    ),
    Model(  # comes with every installation, and chats with nobody
        key="text-embedding-nomic-embed-text-v1.5",
        kind="embedding",
        publisher="nomic-ai",
        display_name="Nomic Embed Text v1.5",
        arch="nomic-bert",
        size_bytes=84106624,
        params=None,
        max_context_length=2048,
        default_context_length=2048,
    ),
)


def model_named(key: str) -> Model:
    """Return the model *key* of the catalog, or a made-up one.

    The made-up one is an embedding model if its name starts as LM Studio's own do.
    """
    for model in CATALOG:
        if model.key == key:
            return model
    publisher, slash, name = key.rpartition("/")
    return Model(
        key=key,
        kind="embedding" if name.startswith("text-embedding-") else "llm",
        publisher=publisher if slash else "lmstudio-community",
        display_name=name,
    )
