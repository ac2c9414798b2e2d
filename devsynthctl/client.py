"""The blocking client: one method an operation of the protocol, typed results, typed errors."""

import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, Unpack

from msgspec import Raw

from devsynthctl.attempts import OnAway, with_progress
from devsynthctl.call import UNSENT, Call, OnProgress, read_result
from devsynthctl.connection import OnIdle
from devsynthctl.generation_request import GenerateOptions, generate_request
from devsynthctl.link import Link
from devsynthctl.listed import ListReader
from devsynthctl.stream import Stream
from devsynthctl.subscription import Subscription
from devsynthd import __version__
from devsynthd.wire.replies import Progress, ReceivedResult
from devsynthd.wire.requests import (
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
    Request,
    RequestId,
    Select,
    Shutdown,
    Status,
    Subscribe,
    Topic,
    Unload,
    Value,
)
from devsynthd.wire.results import (
    CancelOutcome,
    Completion,
    DownloadOutcome,
    Embeddings,
    LoadOutcome,
    Models,
    Pong,
    ReloadOutcome,
    Selected,
    SettingOutcome,
    SettingsReport,
    StatusReport,
    UnloadOutcome,
)


class Client:
    """A connection to the daemon, made when the first request needs it, and anew when it is lost.

    Any thread may use it at any time; all share the connection. After a fork the child makes one
    of its own; streams that were begun before stay with the parent, which the daemon takes to be
    there as long as any of its children is.

    Every method takes *timeout*, the seconds until the request's deadline; null takes that of the
    client. A request that the daemon refuses because it shuts down is sent again within that time,
    or within 10 s, unless a part of its answer has come. If the daemon goes away without a word,
    only ``ping``, ``status``, ``list`` and ``config_get`` are: all else raises `ConnectionLost`.

    All methods raise `DevsynthError`: a class of `devsynthd.wire.errors` for what the daemon
    tells, of `devsynthctl.errors` for what it cannot tell.

    Args:
        address: The daemon's socket, as ``ipc://PATH`` or a path; null: where the daemon is found
            without being told (``DEVSYNTH_SOCKET``, else the user's runtime folder).
        timeout: Seconds until the deadline of requests that have none of their own; null: none.
        name: Name and version of the program, at most 64 characters, for the daemon's log.
        on_idle: Called on the thread that waits, about once a second while nothing comes; what it
            raises ends the wait, and cancels the request.
        on_away: Called on the thread that waits, each time before a request is sent to the next
            daemon, with the error that the last one ended it with, and the seconds since then;
            what it raises ends the wait.

    Raises:
        ConfigInvalid: *address* cannot be the daemon's.
    """

    def __init__(
        self,
        address: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = None,
        name: str = f"devsynthctl/{__version__}",
        on_idle: OnIdle | None = None,
        on_away: OnAway | None = None,
    ) -> None:
        self._link = Link(address, name, on_idle, on_away)
        self._timeout_s = timeout
        self._lists = ListReader()

    def connect(self, wait: float = 0, *, timeout: float | None = None) -> None:
        """Connect now; *wait* is how many seconds the daemon may take to appear."""
        self._link.wait(wait, self._timeout_s if timeout is None else timeout)

    def ping(self, *, timeout: float | None = None) -> Pong:
        """Ask whether the daemon answers, and what it speaks."""
        return read_result(self.ask(Ping(id=UNSENT), timeout=timeout), Pong)

    def status(self, *, timeout: float | None = None) -> StatusReport:
        """Ask how the daemon is."""
        return read_result(self.ask(Status(id=UNSENT), timeout=timeout), StatusReport)

    def list(
        self,
        *,
        refresh: bool = False,
        max_age: float | None = None,
        since: int | None = None,
        loaded: bool = False,
        kind: Literal["llm", "embedding"] | None = None,
        timeout: float | None = None,
    ) -> Models:
        """List the models.

        Args:
            refresh: Ask the upstream first.
            max_age: Ask it first if the list is older than so many seconds.
            since: A generation: answer as soon as the current one differs, at *timeout* anyway.
            loaded: Only what is known to be loaded.
            kind: Only models of this kind; ``llm`` includes unknown ones.
            timeout: Seconds until the deadline.
        """
        request = List(
            id=UNSENT, refresh=refresh, max_age=max_age, since=since, loaded=loaded, kind=kind
        )
        return self._lists.read(self.ask(request, timeout=timeout))

    def wait_for_change(self, since: int | None = None, *, timeout: float | None = None) -> Models:
        """Return the list as soon as anything in it, the selection or the reachability changes.

        Args:
            since: The ``generation`` of the list that is known; null: that of now.
            timeout: Seconds after which it is returned unchanged.
        """
        timeout_s = self._timeout_s if timeout is None else timeout
        if since is None:
            started = time.monotonic()
            known = self.list(timeout=timeout_s)
            since = known.generation
            if timeout_s is not None:
                timeout_s -= time.monotonic() - started
                if timeout_s <= 0:
                    return known
        return self.list(since=since, timeout=timeout_s)

    def subscribe(
        self, topics: Sequence[Topic] | None = None, *, timeout: float | None = None
    ) -> Subscription:
        """Return an iterator over what happens: `News` of *topics*, null: of all but ``log``.

        The first one of each topic but ``log`` tells how it is now::

            for news in client.subscribe(["models"]): ...

        Args:
            topics: Of ``models``, ``upstream``, ``config``, ``requests`` and ``log``.
            timeout: Seconds until the daemon ends it.
        """
        request = Subscribe(id=UNSENT, topics=None if topics is None else [*topics])
        return Subscription(self._call(request, timeout))

    def select(
        self,
        model: str | None,
        *,
        persist: bool = True,
        force: bool = False,
        timeout: float | None = None,
    ) -> Selected:
        """Choose the model that answers when a request names none; null chooses automatically.

        Args:
            model: Its id.
            persist: Write it to the daemon's configuration.
            force: Take it even if the upstream does not list it.
            timeout: Seconds until the deadline.
        """
        request = Select(id=UNSENT, model=model, persist=persist, force=force)
        return read_result(self.ask(request, timeout=timeout), Selected)

    def generate(
        self,
        prompt: str | None = None,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> Completion:
        """Return the answer to *prompt*, or to the last of the messages, once it is complete.

        Args:
            prompt: The user's message; null if *messages* has it.
            on_progress: Called on this thread while the request is queued, or its model is
                loaded.
            timeout: Seconds until the deadline.
            **options: Any of these; what is left out or null, the daemon decides.

                - messages (list of `Message` or dict): The conversation so far, in OpenAI form, put
                  before the prompt; content may be parts with images.
                - system (str): The system message, put first.
                - raw (bool): Send the prompt as it is, without a chat template.
                - suffix (str): What follows the gap that the answer fills.
                - model (str): The model's id.
                - max_tokens (int): The longest answer; -1: as long as the server allows.
                - temperature (float): 0 to 2.
                - top_p (float): 0 to 1.
                - top_k (int): -1 for none.
                - min_p (float): 0 to 1.
                - seed (int): The same seed, the same answer, where the server keeps to that.
                - stop (str or list of str): Texts that end the answer.
                - repeat_penalty (float): More than 0, 1 for none.
                - presence_penalty, frequency_penalty (float): -2 to 2.
                - logit_bias (dict): From tokens to numbers.
                - schema (dict): A JSON Schema; the answer is JSON that satisfies it.
                - tools (list of dict): Functions that the model may call, in OpenAI form; the calls
                  are in the result, nothing is run.
                - tool_choice (str or dict): ``auto``, ``none``, ``required``, or one function.
                - ttl (int): Seconds that a model stays that is loaded for this.
                - extra (dict): Further parameters for the upstream.
                - wait (float): Seconds to wait for an upstream that is not there.
                - fallback (bool): False: never the embedded engine instead.
                - background (bool): Give way to everything else.

        Raises:
            DevsynthError: It failed; ``details["text"]`` has what came, if anything did.
            TypeError: There is no such option.
        """
        request = generate_request(prompt, options, stream=False)
        return read_result(self.ask(request, on_progress=on_progress, timeout=timeout), Completion)

    def stream(
        self,
        prompt: str | None = None,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> Stream:
        """Return the same answer as an iterator over its chunks, as they come.

        The arguments and errors are those of `generate`; the iterator raises the latter.
        """
        request = generate_request(prompt, options, stream=True)
        return self.open(request, on_progress=on_progress, timeout=timeout)

    def embed(
        self,
        input: str | Sequence[str],  # noqa: A002 - the protocol's own word
        model: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Embeddings:
        """Return the vector of a text, or of each of several, in their order.

        Args:
            input: One text or several, none of them empty.
            model: An embedding model's id; null: a loaded one, else the first one listed.
            timeout: Seconds until the deadline.
        """
        request = Embed(id=UNSENT, input=input if isinstance(input, str) else [*input], model=model)
        return read_result(self.ask(request, timeout=timeout), Embeddings)

    def load(
        self,
        model: str,
        *,
        context_length: int | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> LoadOutcome:
        """Have the upstream load a model, unless it is loaded already; that may take minutes.

        What was begun goes on even if nobody waits for it any more.

        Args:
            model: Its id.
            context_length: In tokens; null: the upstream's own.
            on_progress: Called while it loads, on this thread.
            timeout: Seconds until the deadline.
        """
        request = Load(id=UNSENT, model=model, context_length=context_length)
        return read_result(self.ask(request, on_progress=on_progress, timeout=timeout), LoadOutcome)

    def unload(self, model: str, *, timeout: float | None = None) -> UnloadOutcome:
        """Have the upstream unload *model*: one instance by its id, or all those of a model."""
        return read_result(self.ask(Unload(id=UNSENT, model=model), timeout=timeout), UnloadOutcome)

    def download(
        self,
        model: str,
        *,
        quantization: str | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> DownloadOutcome:
        """Have the upstream download a model, and wait until it is there or somebody pauses it.

        The upstream goes on even if nobody waits for it any more.

        Args:
            model: Its catalog id or URL.
            quantization: Which variant, as ``Q4_K_M``; null: the upstream's choice.
            on_progress: Called about once a second, on this thread.
            timeout: Seconds until the deadline.
        """
        request = Download(id=UNSENT, model=model, quantization=quantization)
        return read_result(
            self.ask(request, on_progress=on_progress, timeout=timeout), DownloadOutcome
        )

    def cancel(
        self,
        target: RequestId | None = None,
        *,
        request: int | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Cancel a request, and return whether there was something to cancel.

        Args:
            target: The id of a stream of this client.
            request: Instead, the daemon's number for a request of anybody, as `status` tells it.
            timeout: Seconds until the deadline.
        """
        raw = self.ask(Cancel(id=UNSENT, target=target, request=request), timeout=timeout)
        return read_result(raw, CancelOutcome).cancelled

    def config_get(self, key: str | None = None, *, timeout: float | None = None) -> SettingsReport:
        """Return the daemon's settings, or the one named *key*, and where each comes from."""
        return read_result(self.ask(ConfigGet(id=UNSENT, key=key), timeout=timeout), SettingsReport)

    def config_set(
        self, key: str, value: Value | None, *, timeout: float | None = None
    ) -> SettingOutcome:
        """Write a setting to the daemon's config file, and have it in force.

        Args:
            key: Its name, as ``llm_max_tokens``.
            value: Typed, or as text like in the environment; null: unset.
            timeout: Seconds until the deadline.
        """
        request = ConfigSet(id=UNSENT, key=key, value=value)
        return read_result(self.ask(request, timeout=timeout), SettingOutcome)

    def reload(self, *, timeout: float | None = None) -> ReloadOutcome:
        """Have the daemon read its config file now, which it does after every change anyway."""
        return read_result(self.ask(Reload(id=UNSENT), timeout=timeout), ReloadOutcome)

    def shutdown(self, grace: float | None = None, *, timeout: float | None = None) -> None:
        """Have the daemon exit; what runs may go on for *grace* seconds (null: its setting)."""
        self.ask(Shutdown(id=UNSENT, grace=grace), timeout=timeout)

    def ask(
        self,
        request: Request,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Raw:
        """Send *request*, whatever its id, and return its result as it came, in MessagePack.

        Progress is asked for, where there is any, if there is *on_progress* to tell.
        """
        call = self._call(with_progress(request, is_wanted=on_progress is not None), timeout)
        try:
            while not isinstance(reply := call.next(), ReceivedResult):
                if on_progress and isinstance(reply, Progress):
                    on_progress(reply)
        except BaseException:
            call.cancel()
            raise
        call.close()
        return reply.result

    def open(
        self,
        request: Generate,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Stream:
        """Send *request*, whatever its id, and return its answer as a stream."""
        asked = with_progress(request, is_wanted=on_progress is not None)
        return Stream(self._call(asked, timeout), on_progress)

    def close(self) -> None:
        """Hang up: the daemon drops what is under way. A later request connects again."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, request: Request, timeout: float | None) -> Call:
        return Call(self._link, request, self._timeout_s if timeout is None else timeout)
