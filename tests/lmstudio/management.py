"""Load, unload and download: ``/api/v1`` only, and strict about the fields it gets.

Mind that a load is not idempotent: each call makes another instance, and none ever reuses one. So
list first. The answer comes when the load is done, which may take minutes without a byte.
"""

import threading
import time
from dataclasses import fields
from typing import Any

from tests.lmstudio import errors, intake, lists
from tests.lmstudio.downloads import Downloads
from tests.lmstudio.engine import Engine, LoadFailed
from tests.lmstudio.generation import send_json
from tests.lmstudio.models import LoadConfig
from tests.lmstudio.world import World
from tests.support.upstream_exchange import Exchange

Json = dict[str, Any]

# What a load may ask for; "parallel" may not be asked for.
LOAD_OPTIONS = {field.name for field in fields(LoadConfig)} - {"parallel"}


class Management:
    """Answers the routes that change what is loaded or downloaded."""

    def __init__(
        self, world: World, downloads: Downloads, engine: Engine, lock: threading.RLock
    ) -> None:
        self._world, self._downloads = world, downloads
        self._engine, self._lock = engine, lock

    async def load(self, exchange: Exchange) -> None:
        """Answer ``models/load`` once the model is in memory."""
        body = intake.json_object(exchange.raw_body)
        key = intake.require(body, "model", "echo_load_config", *LOAD_OPTIONS)
        options = {name: value for name, value in body.items() if name in LOAD_OPTIONS}
        with self._lock:
            model = self._world.known(key)
            if model is None:
                text = f"Model '{key}' not found"
                raise errors.native("model_not_found", text, status=404, param="model")
            config = LoadConfig(**{"context_length": 0} | options)
            instance = self._world.begin_load(model, config)
        began_s = time.monotonic()
        try:
            await self._engine.load(instance)
        except LoadFailed as exc:  # its status and body are not confirmed
            text = f'Failed to load model "{key}". Error: {exc}'
            raise errors.native("internal_error", text, status=500) from exc
        answer: Json = {
            "type": "embedding" if model.embeds else "llm",
            "instance_id": instance.id,
            "load_time_seconds": round(time.monotonic() - began_s, 3),
            "status": "loaded",
        }
        if body.get("echo_load_config"):
            answer["load_config"] = lists.load_config(instance)
        await send_json(exchange, answer)

    async def unload(self, exchange: Exchange) -> None:
        """Answer ``models/unload``: by the instance's id, not by the model's key."""
        name = intake.require(intake.json_object(exchange.raw_body), "instance_id")
        with self._lock:
            instance = self._world.instance(name)
            if instance is None:  # status seen, body not confirmed
                raise errors.native("model_not_found", f"Instance '{name}' not found", status=404)
            self._world.unload(instance)
        await send_json(exchange, {"instance_id": name})

    async def download(self, exchange: Exchange) -> None:
        """Answer ``models/download``, and leave the work to a job."""
        body = intake.json_object(exchange.raw_body)
        name = intake.require(body, "model", "quantization")
        with self._lock:
            answer = self._downloads.start(name)
        await send_json(exchange, answer)

    async def download_status(self, exchange: Exchange) -> None:
        """Answer how far a job is."""
        job_id = exchange.path.rpartition("/")[2]
        with self._lock:
            answer = self._downloads.status(job_id)
        await send_json(exchange, answer)
