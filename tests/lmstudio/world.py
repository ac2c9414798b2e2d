"""LM Studio's state and its rules, without a socket, a thread or a wait.

What is worth knowing before reading the code:

- **An explicit load** (``lms load``, the app, ``/api/v1/models/load``) makes another instance each
  time, which stays until it is unloaded.
- **A load just in time (JIT)** happens when a request names a downloaded model that is not loaded.
  Such an instance goes after its TTL, an hour of idleness if the request did not say otherwise;
  and with *auto-evict*, at most one of them stays: the next one throws it out, busy or not.
- **JIT off**: nothing is loaded by a request, and the lists of ``/v1`` and ``/api/v0`` show loaded
  models only, so that they shrink by a mere setting.
- **A name that nobody knows is answered by the only loaded model**, without a word about it.

Where the reports say nothing, this says: the idle time counts from the start of the last request,
so that a very long answer can lose its model; an embedding model and a model that writes do not
stand in for each other; and with JIT off, a model that is not loaded is as good as unknown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count

from tests.lmstudio.clock import Clock
from tests.lmstudio.models import Instance, LoadConfig, Model
from tests.lmstudio.paths import Generation

TTL_S = 3600.0
UNLOADED = "Model unloaded."


class Refusal(Enum):
    """Why no model answers."""

    NOTHING_LOADED = "nothing is loaded, and nothing was loaded for the request"
    UNKNOWN = "no model has this name"
    WRONG_KIND = "an embedding model was asked for text, or the other way round"


@dataclass(kw_only=True)
class Settings:
    """The server settings of the app's developer page."""

    jit: bool = True
    auto_evict: bool = True
    ttl_s: float = TTL_S
    token: str | None = None  # "Require Authentication", since 0.4.0
    context_cap: int | None = None  # what the engine silently cuts a load's context to


class World:
    """Models, instances, and who answers to a name.

    *on_unload* is called with each instance that goes, and with the words in which the requests
    that it was answering are told.
    """

    def __init__(
        self,
        generation: Generation,
        models: Sequence[Model],
        clock: Clock,
        settings: Settings | None = None,
    ) -> None:
        self.generation = generation
        self.models = list(models)
        self.instances: list[Instance] = []
        self.settings = settings or Settings()
        self.on_unload: Callable[[Instance, str], None] | None = None
        self.clock = clock

    def known(self, name: str) -> Model | None:
        """Return the downloaded model with this key or variant."""
        return next((model for model in self.models if model.answers_to(name)), None)

    def instance(self, instance_id: str) -> Instance | None:
        """Return the instance with this id."""
        return next((each for each in self.instances if each.id == instance_id), None)

    def listed(self) -> Iterator[tuple[Model, Instance | None]]:
        """Yield what the older lists show: each instance, else each model that is not loaded.

        A key that is downloaded twice is shown once: these lists cannot tell the two apart.
        """
        shown: set[str] = set()
        for model in self.models:
            own = [each for each in self.instances if each.model is model]
            yield from ((model, instance) for instance in own)
            if not own and self.settings.jit and model.key not in shown:
                yield model, None
            shown.add(model.key)

    def resolve(self, name: str, *, embeds: bool = False) -> Instance | Model | Refusal:
        """Return who answers to *name*; a Model is to be loaded for it first."""
        named = self.instance(name) or self._instance_of(name)
        known = named.model if named else self.known(name)
        if known is not None and known.embeds != embeds and (named or self.settings.jit):
            return Refusal.WRONG_KIND
        if named is not None:
            return named
        if known is not None and self.settings.jit:
            return known
        loaded = [each for each in self.instances if each.ready and each.model.embeds == embeds]
        if len(loaded) == 1:
            return loaded[0]
        return Refusal.UNKNOWN if loaded or self.settings.jit else Refusal.NOTHING_LOADED

    def begin_load(
        self, model: Model, config: LoadConfig | None = None, *, ttl_s: float | None = None
    ) -> Instance:
        """Start to load *model*: just in time if it has a *ttl_s*, else to stay."""
        if ttl_s is not None and self.settings.auto_evict:
            for other in [each for each in self.instances if each.just_in_time]:
                self.unload(other)
        instance = Instance(
            id=self._free_id(model.key),
            model=model,
            config=self._possible(model, config or LoadConfig(context_length=0)),
            ttl_s=ttl_s,
            used_s=self.clock.now_s(),
        )
        self.instances.append(instance)
        return instance

    def load(self, key: str, *, context_length: int = 0) -> Instance:
        """Load the downloaded model *key* to stay, and at once.

        Raises:
            KeyError: No such model is downloaded.
        """
        model = self.known(key)
        if model is None:
            raise KeyError(key)
        instance = self.begin_load(model, LoadConfig(context_length=context_length))
        instance.ready = True
        return instance

    def give_up(self, instance: Instance) -> None:
        """Drop *instance*, whose load has failed; who waits for the load is told by that."""
        self.instances.remove(instance)

    def unload(self, instance: Instance, reason: str = UNLOADED) -> None:
        """Take *instance* out of memory, whatever it is doing."""
        self.instances.remove(instance)
        if self.on_unload is not None:
            self.on_unload(instance, reason)

    def unload_all(self, reason: str = UNLOADED) -> None:
        """Empty the memory, as the end of the app does."""
        for instance in list(self.instances):
            self.unload(instance, reason)

    def use(self, instance: Instance) -> None:
        """Note that a request for *instance* begins: its idle time starts anew."""
        instance.used_s = self.clock.now_s()

    def expire(self) -> None:
        """Unload what was idle for longer than its TTL."""
        now_s = self.clock.now_s()
        for instance in list(self.instances):
            if instance.ttl_s is not None and now_s - instance.used_s >= instance.ttl_s:
                self.unload(instance)

    def _instance_of(self, name: str) -> Instance | None:
        """Return the first instance, a ready one if there is one, of the model *name*."""
        own = [each for each in self.instances if each.model.answers_to(name)]
        return next((each for each in own if each.ready), own[0] if own else None)

    def _free_id(self, key: str) -> str:
        names = (key if number == 1 else f"{key}:{number}" for number in count(1))
        return next(name for name in names if self.instance(name) is None)

    def _possible(self, model: Model, asked: LoadConfig) -> LoadConfig:
        """Return what of *asked* this version, this model and this machine's memory allow."""
        context = asked.context_length or model.default_context_length
        limits = [model.max_context_length, self.settings.context_cap or context]
        return replace(
            asked,
            context_length=min(context, *limits),
            parallel=asked.parallel if self.generation == "v1" else 1,
            num_experts=asked.num_experts or model.experts,
        )
