"""The rules of loading, unloading and names, by tables."""

import pytest

from tests.lmstudio.clock import Clock
from tests.lmstudio.models import Instance, Model, model_named
from tests.lmstudio.paths import Generation
from tests.lmstudio.world import Refusal, Settings, World

A, B, EMBED = (
    Model(key="org/a", variants=("org/a@q4_k_m",)),
    Model(key="org/b"),
    Model(key="text-embedding-e", kind="embedding", default_context_length=2048),
)
JIT_TTL_S = 60.0


def _world(generation: Generation = "v1", **settings: object) -> World:
    world = World(generation, [A, B, EMBED], Clock(), Settings())
    for name, value in settings.items():
        setattr(world.settings, name, value)
    return world


def _just_in_time(world: World, model: Model) -> Instance:
    instance = world.begin_load(model, ttl_s=JIT_TTL_S)
    instance.ready = True
    return instance


@pytest.mark.parametrize(
    ("loaded", "jit", "name", "expected"),
    [
        ((), True, "org/a", A),  # to be loaded for the request
        ((), True, "org/a@q4_k_m", A),
        ((), False, "org/a", Refusal.NOTHING_LOADED),
        ((), True, "nobody", Refusal.UNKNOWN),
        ((), False, "nobody", Refusal.NOTHING_LOADED),
        (("org/a",), True, "org/a", "org/a"),
        (("org/a",), True, "org/a@q4_k_m", "org/a"),
        (("org/a", "org/a"), True, "org/a", "org/a"),  # the first of several
        (("org/a", "org/a"), True, "org/a:2", "org/a:2"),
        (("org/a",), True, "org/b", B),
        (("org/a",), True, "nobody", "org/a"),  # the only one answers, whoever was asked
        (("org/a",), True, "", "org/a"),
        (("org/a",), False, "org/b", "org/a"),
        (("org/a",), True, "ORG/A", "org/a"),
        (("org/a", "org/b"), True, "nobody", Refusal.UNKNOWN),
        (("org/a", "org/b"), False, "nobody", Refusal.UNKNOWN),
        (("text-embedding-e",), True, "nobody", Refusal.UNKNOWN),  # it writes no text
        (("text-embedding-e",), True, "text-embedding-e", Refusal.WRONG_KIND),
        ((), True, "text-embedding-e", Refusal.WRONG_KIND),
    ],
)
def test_who_answers_to_a_name(
    loaded: tuple[str, ...], name: str, expected: object, *, jit: bool
) -> None:
    world = _world(jit=jit)
    for key in loaded:
        world.load(key)

    found = world.resolve(name)

    assert (found.id if isinstance(found, Instance) else found) == expected


def test_embeddings_are_asked_of_embedding_models() -> None:
    world = _world()

    assert world.resolve("text-embedding-e", embeds=True) is EMBED
    assert world.resolve("org/a", embeds=True) is Refusal.WRONG_KIND


def test_a_model_on_its_way_is_not_yet_the_only_loaded_one() -> None:
    world = _world()
    coming = world.begin_load(A)

    assert world.resolve("org/a") is coming
    assert world.resolve("nobody") is Refusal.UNKNOWN


def test_every_load_makes_another_instance_and_ids_are_used_again() -> None:
    world = _world()
    ids = [world.load("org/a").id for _ in range(3)]
    second = world.instance("org/a:2")
    assert second is not None
    world.unload(second)

    assert ids == ["org/a", "org/a:2", "org/a:3"]
    assert world.load("org/a").id == "org/a:2"


def test_an_idle_model_goes_after_its_time_and_each_use_starts_it_anew() -> None:
    world = _world()
    instance = _just_in_time(world, A)
    world.clock.advance(JIT_TTL_S - 1)
    world.expire()
    world.use(instance)
    world.clock.advance(JIT_TTL_S - 1)
    world.expire()
    assert world.instances == [instance]

    world.clock.advance(1)
    world.expire()

    assert world.instances == []


def test_a_model_that_was_loaded_explicitly_stays() -> None:
    world = _world()
    kept = world.load("org/a")
    world.clock.advance(10**9)
    world.expire()
    _just_in_time(world, B)
    _just_in_time(world, A)

    assert world.instances[0] is kept


@pytest.mark.parametrize(("auto_evict", "left"), [(True, ["org/b"]), (False, ["org/a", "org/b"])])
def test_at_most_one_model_that_a_request_loaded_stays(
    left: list[str], *, auto_evict: bool
) -> None:
    world = _world(auto_evict=auto_evict)
    told: list[tuple[str, str]] = []
    world.on_unload = lambda instance, reason: told.append((instance.id, reason))
    _just_in_time(world, A)
    _just_in_time(world, B)

    assert [instance.id for instance in world.instances] == left
    assert told == ([("org/a", "Model unloaded.")] if auto_evict else [])


@pytest.mark.parametrize(
    ("asked", "cap", "got"),
    [(0, None, 4096), (16384, None, 16384), (10**9, None, 32768), (16384, 4864, 4864)],
)
def test_the_context_of_a_load_is_what_is_possible(asked: int, cap: int | None, got: int) -> None:
    world = _world(context_cap=cap)

    assert world.load("org/a", context_length=asked).config.context_length == got


@pytest.mark.parametrize(("generation", "parallel"), [("openai", 1), ("v0", 1), ("v1", 4)])
def test_answers_at_a_time(generation: Generation, parallel: int) -> None:
    assert _world(generation).load("org/a").config.parallel == parallel


@pytest.mark.parametrize(
    ("jit", "listed"),
    [(True, ["org/a", "org/a:2", "org/b", "text-embedding-e"]), (False, ["org/a", "org/a:2"])],
)
def test_what_the_older_lists_show(listed: list[str], *, jit: bool) -> None:
    world = _world(jit=jit)
    world.load("org/a")
    world.load("org/a")

    shown = [instance.id if instance else model.key for model, instance in world.listed()]

    assert shown == listed


@pytest.mark.parametrize(
    ("key", "publisher", "kind"),
    [
        ("acme/model-7b", "acme", "llm"),
        ("model-7b", "lmstudio-community", "llm"),
        ("text-embedding-acme", "lmstudio-community", "embedding"),
        ("qwen/qwen3-4b", "qwen", "llm"),
    ],
)
def test_models_are_made_up_by_name(key: str, publisher: str, kind: str) -> None:
    model = model_named(key)

    assert (model.key, model.publisher, model.kind) == (key, publisher, kind)
