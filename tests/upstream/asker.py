"""An upstream that a test asks one question after the other, and a world to ask it in."""

import asyncio
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec
import pytest

from devsynthd.upstream.base import Chat, Job, Listing, LoadedInstance, Upstream, Vectors
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.objects import Model
from tests.lmstudio import LMStudio
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, status
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import CHAT, PATIENT, Asked, ask, unnoticed

T = TypeVar("T")
U = TypeVar("U", bound=Upstream)


class StillClock:
    """Stands still until it is advanced."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Asker(Generic[U]):
    """Asks *upstream* and waits for each answer; a context manager that closes it."""

    def __init__(self, upstream: U) -> None:
        self.upstream = upstream
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self._runner.close()

    def close(self) -> None:
        """Close the upstream, which may be asked all the same."""
        self.run(self.upstream.close())

    def run(self, question: Coroutine[Any, Any, T]) -> T:
        """Return what *question* returns."""
        return self._runner.run(question)

    def poll(self) -> Listing:
        """Return the list."""
        return self.run(self.upstream.models())

    def models(self) -> dict[str, Model]:
        """Return the models of the list by their ids."""
        return {model.id: model for model in self.poll().models}

    def loaded(self) -> dict[str, bool | None]:
        """Return what the list says of each model."""
        return {model.id: model.loaded for model in self.poll().models}

    def ask(self, model: str = "m", text: str | None = None) -> Asked:
        """Return the answer of *model* to *text*."""
        chat = msgspec.structs.replace(CHAT, model=model)
        if text is not None:
            message = msgspec.structs.replace(CHAT.messages[0], content=text)
            chat = msgspec.structs.replace(chat, messages=(message,))
        return self.ask_chat(chat)

    def ask_chat(self, chat: Chat) -> Asked:
        """Return the answer to *chat*."""
        return self.run(ask(self.upstream, chat))

    def refused(self, chat: Chat) -> DevsynthError:
        """Return why *chat* is not answered."""
        with pytest.raises(DevsynthError) as caught:
            self.ask_chat(chat)
        return caught.value

    def embed(self, *texts: str, model: str = "m") -> Vectors:
        """Return the vectors that *model* makes of *texts*."""
        return self.run(self.upstream.embed(model, texts, unnoticed))

    def no_vectors(self, *texts: str, model: str = "m") -> DevsynthError:
        """Return why there are no vectors."""
        with pytest.raises(DevsynthError) as caught:
            self.embed(*texts, model=model)
        return caught.value

    def no_list(self) -> DevsynthError:
        """Return why there is no list."""
        with pytest.raises(DevsynthError) as caught:
            self.poll()
        return caught.value

    def no_answer(self, model: str = "m", text: str | None = None) -> DevsynthError:
        """Return why there is no answer."""
        with pytest.raises(DevsynthError) as caught:
            self.ask(model, text)
        return caught.value

    # Of LM Studio 0.4.0 and later ----------------------------------------------------------

    def load(self, model: str, context_length: int | None = None) -> LoadedInstance:
        """Load *model*."""
        assert self.upstream.manager is not None
        return self.run(self.upstream.manager.load(model, context_length))

    def no_load(self, model: str) -> DevsynthError:
        """Return why *model* is not loaded."""
        with pytest.raises(DevsynthError) as caught:
            self.load(model)
        return caught.value

    def unload(self, instance_id: str) -> None:
        """Unload an instance."""
        assert self.upstream.manager is not None
        self.run(self.upstream.manager.unload(instance_id))

    def download(self, model: str, quantization: str | None = None) -> Job:
        """Start to download *model*."""
        assert self.upstream.manager is not None
        return self.run(self.upstream.manager.download(model, quantization))

    def job(self, job_id: str) -> Job:
        """Return how far a download is."""
        assert self.upstream.manager is not None
        return self.run(self.upstream.manager.job(job_id))


def lmstudio(
    root: str,
    *,
    api_key: str = "",
    timeouts: Timeouts = PATIENT,
    clock: StillClock | None = None,
) -> Asker[LMStudioUpstream]:
    """Return who asks the LM Studio at *root*; without a *clock* time passes as it does."""
    timing = {} if clock is None else {"clock": clock}
    return Asker(
        LMStudioUpstream(
            root, api_key=api_key, timeouts=timeouts, ca_bundle="", max_threads=4, **timing
        )
    )


def openai(base: str, *, clock: StillClock | None = None) -> Asker[OpenAIUpstream]:
    """Return who asks the server at *base*, which ends in ``/v1`` mostly."""
    return Asker(
        OpenAIUpstream(
            base,
            api_key="",
            timeouts=PATIENT,
            ca_bundle="",
            max_threads=4,
            clock=clock or time.monotonic,
        )
    )


def asked(studio: LMStudio, *, since: int = 0) -> list[str]:
    """Return the requests so far, such as ``GET /v1/models``, without the first *since*."""
    return [f"{each.method} {each.path}" for each in studio.requests()[since:]]


def another_server(**answers: object) -> UpstreamServer:
    """Return a server that is not LM Studio: JSON *answers* by path, 404 for all else.

    The paths are written as ``v1_models``, for names of arguments have no slashes.
    """

    def answer(exchange: Exchange) -> Reply:
        found = answers.get(exchange.path.strip("/").replace("/", "_"))
        if found is None:
            return status(404, {"error": {"code": 404, "message": "File Not Found"}})
        return status(200, found)

    return UpstreamServer(answer=answer)
