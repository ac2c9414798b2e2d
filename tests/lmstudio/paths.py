"""The routes, and which generation of LM Studio has which.

The generations are named by the newest family of routes that they serve.
"""

from typing import Literal, get_args

Generation = Literal[
    "openai",  # before 0.3.6
    "v0",  # 0.3.6 and later 0.3.x
    "v1",  # 0.4.x
]
GENERATIONS: tuple[Generation, ...] = get_args(Generation)

GREETING = "/lmstudio-greeting"
STATUS = "/lms-status"

MODELS = "/v1/models"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"

MODELS_V0 = "/api/v0/models"
CHAT_V0 = "/api/v0/chat/completions"
COMPLETIONS_V0 = "/api/v0/completions"
EMBEDDINGS_V0 = "/api/v0/embeddings"

MODELS_V1 = "/api/v1/models"
LOAD = "/api/v1/models/load"
UNLOAD = "/api/v1/models/unload"
DOWNLOAD = "/api/v1/models/download"
DOWNLOAD_STATUS = "/api/v1/models/download/status/"  # and the job's id


def serves(generation: Generation, path: str) -> bool:
    """Return whether *generation* knows the family that *path* belongs to."""
    if path.startswith("/api/v1/"):
        return generation == "v1"
    if path.startswith("/api/v0/"):
        return generation != "openai"
    return True
