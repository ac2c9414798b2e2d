"""LM Studio's management of models: ``/api/v1/models/load``, ``unload`` and ``download``."""

from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec

from devsynthd.upstream.base import Job, LoadedInstance
from devsynthd.upstream.cleaning import clean
from devsynthd.upstream.entries import count, line, mapping, seconds, usable_id
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import failure_of, has_error, loads
from devsynthd.upstream.http import Http
from devsynthd.upstream.line import Line
from devsynthd.upstream.lists import Body, whole_body
from devsynthd.upstream.transport_errors import Patience, given_time
from devsynthd.wire.errors import ModelLoadFailed, ModelNotFound, UpstreamError

ROOT = "/api/v1/models"
QUICK_S = 30.0
THREADS = 4


class LMStudioManager:
    """Asks at *http*; a load may take *load_s* seconds. Keeps *secrets* out of errors.

    The API refuses unknown fields: each request carries what is documented, nothing else.
    """

    def __init__(
        self, http: Http, *, connect_s: float, load_s: float, secrets: tuple[str, ...]
    ) -> None:
        self._http, self._secrets = http, secrets
        self._connect_s, self._load_s = connect_s, load_s
        self._exchanges = Exchanges(THREADS, name="upstream-manage")

    async def load(self, model: str, context_length: int | None) -> LoadedInstance:
        """Load another instance of *model*, whether or not there is one."""
        fields: dict[str, Any] = {"model": model, "echo_load_config": True}
        if context_length is not None:
            fields["context_length"] = context_length
        patience = Patience(
            f"the model {clean(model)}",
            self._load_s,
            "It may still be loading: look at `devsynthctl models`, or raise"
            " llm_first_token_timeout.",
        )
        try:
            value = await self._ask(f"{ROOT}/load", patience, fields)
        except UpstreamError as exc:
            # What LM Studio says of a load that failed comes in many words.
            raise ModelLoadFailed(str(exc), hint=exc.hint, details=exc.details) from exc
        instance_id = usable_id(value.get("instance_id"))
        if instance_id is None:
            raise self._odd("load")
        return LoadedInstance(
            instance_id,
            count(mapping(value.get("load_config")).get("context_length")),
            seconds(value.get("load_time_seconds")),
        )

    async def unload(self, instance_id: str) -> None:
        """Unload one instance; one that is gone already is no error."""
        patience = Patience("the end of the model", QUICK_S, "Try again.")
        try:
            await self._ask(f"{ROOT}/unload", patience, {"instance_id": instance_id})
        except ModelNotFound:
            return
        except UpstreamError as exc:
            if exc.details.get("status") != HTTPStatus.NOT_FOUND:
                raise

    async def download(self, model: str, quantization: str | None) -> Job:
        """Start to download *model*."""
        fields = {"model": model} | ({"quantization": quantization} if quantization else {})
        patience = Patience("the start of the download", QUICK_S, "Try again.")
        return self._job(await self._ask(f"{ROOT}/download", patience, fields), None)

    async def job(self, job_id: str) -> Job:
        """Return how far that download is."""
        patience = Patience("the state of the download", QUICK_S, "Try again.")
        path = f"{ROOT}/download/status/{quote(job_id, safe='')}"
        return self._job(await self._ask(path, patience, None), job_id)

    async def close(self) -> None:
        """Hang up on what is under way and let go of the threads."""
        await self._exchanges.close()

    async def _ask(
        self, path: str, patience: Patience, fields: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Return the object that answers POST with *fields*, or GET without."""
        post = None if fields is None else msgspec.json.encode(fields)
        limit_s = self._connect_s + patience.seconds
        async with given_time(self._http.address, patience, limit_s):
            body = await self._exchanges.run(partial(self._fetch, path, patience, post))
        value = loads(body.data)
        is_good = body.status < HTTPStatus.MULTIPLE_CHOICES and isinstance(value, dict)
        if not is_good or has_error(value):
            raise failure_of(
                body.status,
                body.content_type,
                body.data,
                address=self._http.address,
                secrets=self._secrets,
            )
        return dict(value)

    def _fetch(self, path: str, patience: Patience, post: bytes | None, line: Line) -> Body:
        http, seconds = self._http, patience.seconds
        exchange = (
            http.get(path, line, timeout_s=seconds)
            if post is None
            else http.post(path, post, line, timeout_s=seconds)
        )
        return whole_body(http.address, exchange, patience)

    def _job(self, value: dict[str, Any], job_id: str | None) -> Job:
        status = line(value.get("status"))
        if status is None:
            raise self._odd("download")
        return Job(
            id=usable_id(value.get("job_id")) or job_id,
            status=status,
            size_bytes=count(value.get("total_size_bytes")),
            downloaded_bytes=count(value.get("downloaded_bytes")),
            reason=line(value.get("error_message")),
        )

    def _odd(self, what: str) -> UpstreamError:
        return UpstreamError(
            f"{self._http.address} answered {what} with something that is not its API",
            hint="Which version of LM Studio is it? `devsynthctl models` shows what it did.",
        )
