"""One ``match`` over the requests: each goes to the service of its family."""

from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from devsynthd.service.call import Call
from devsynthd.service.embedding import EmbeddingService
from devsynthd.service.generation import GenerationService
from devsynthd.service.managing import ManagingService
from devsynthd.service.models import ModelsService
from devsynthd.service.register import Register
from devsynthd.service.settings import SettingsService
from devsynthd.service.status import StatusService
from devsynthd.service.subscribing import SubscribingService
from devsynthd.wire.errors import BadRequest, Cancelled
from devsynthd.wire.requests import (
    AnyRequest,
    Cancel,
    ConfigGet,
    ConfigSet,
    Download,
    Embed,
    Generate,
    List,
    Load,
    Ping,
    Reload,
    Select,
    Shutdown,
    Status,
    Subscribe,
    Unload,
)
from devsynthd.wire.results import AnyResult, CancelOutcome, Empty

Work = Coroutine[Any, Any, AnyResult]


class Answers:
    """Knows what each request does.

    *stop* is called with a grace in seconds, or none for the setting, when a client asks for the
    daemon's end.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a service for each family of requests
        self,
        status: StatusService,
        models: ModelsService,
        generation: GenerationService,
        embedding: EmbeddingService,
        managing: ManagingService,
        settings: SettingsService,
        subscribing: SubscribingService,
        register: Register,
        stop: Callable[[float | None], None],
    ) -> None:
        self._status, self._models = status, models
        self._generation, self._embedding = generation, embedding
        self._managing, self._settings = managing, settings
        self._subscribing = subscribing
        self._register, self._stop = register, stop

    def answer(  # noqa: C901, PLR0911, PLR0912 - one case a request
        self, request: AnyRequest, call: Call
    ) -> AnyResult | Work:
        """Return the result of *request* if it is known at once, else the work that leads to it.

        Raises:
            DevsynthError: The request fails, as the protocol says; the work may raise it too.
        """
        match request:
            case List():
                return self._models.list(request, call)
            case Generate():
                _require_dealer(call, asks_for_more=request.stream or request.progress)
                return self._generation.generate(request, call)
            case Embed():
                return self._embedding.embed(request, call)
            case Ping():
                return self._status.ping()
            case Status():
                return self._status.status(self._register.all())
            case Select():
                return self._models.select(request)
            case Load():
                _require_dealer(call, asks_for_more=request.progress)
                return self._managing.load(request, call)
            case Unload():
                return self._managing.unload(request)
            case Download():
                _require_dealer(call, asks_for_more=request.progress)
                return self._managing.download(request, call)
            case Cancel():
                return self._cancel(request, call)
            case ConfigGet():
                return self._settings.get(request)
            case ConfigSet():
                return self._settings.set(request)
            case Reload():
                return self._settings.reload()
            case Subscribe():
                _require_dealer(call, asks_for_more=True)
                return self._subscribing.subscribe(request, call)
            case Shutdown():
                self._stop(request.grace)
                return Empty()
            case _:
                assert_never(request)

    def _cancel(self, request: Cancel, call: Call) -> CancelOutcome | Work:
        if request.target is not None and request.request is None:
            target = self._register.find(call.client, request.target)
        elif request.request is not None and request.target is None:
            target = self._register.numbered(request.request)
        else:
            raise BadRequest("`cancel` takes either `target` or `request`")
        if target is None:
            return CancelOutcome(cancelled=False)
        target.end(Cancelled("cancelled by request"))  # now: the next request may count on it
        return _cancelled(target)


async def _cancelled(target: Call) -> CancelOutcome:
    """Wait for the end of *target*: its own answer goes out before this one."""
    await target.ended()
    return CancelOutcome(cancelled=target.state == "cancelled")


def _require_dealer(call: Call, *, asks_for_more: bool) -> None:
    """Refuse what needs several replies to a socket that takes one."""
    if asks_for_more and call.client.is_req:
        raise BadRequest("a REQ socket takes one reply only", hint="connect a DEALER socket")
