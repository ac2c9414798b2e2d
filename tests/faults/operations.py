"""What is asked of a daemon while its machine fails it."""

from collections.abc import Callable

from tests.faults.scenes import Scene
from tests.support.upstream_replies import tokens

DONE = "done"
"""As without the fault."""

SCHEMA = {"type": "object"}
HUGE = "x" * (12 * 2**20)
MANY = 100_000


def _schema(scene: Scene) -> str:
    scene.upstream.script.append(tokens('{"a": 1}'))
    try:
        return scene.client.generate("hi", schema=SCHEMA).text
    finally:
        scene.upstream.script.clear()


def _huge_list(scene: Scene) -> str:
    scene.upstream.models = [f"model-{number}" for number in range(MANY)]
    try:
        source = scene.client.list(refresh=True).source
    finally:
        scene.upstream.models = ["m"]
    return DONE if source.error is None else source.error.message


def _select(scene: Scene) -> str:
    selected = scene.client.select("m", persist=True)
    assert selected.selection.model == "m"
    return DONE if selected.persisted else selected.warnings[0].message


def _reload(scene: Scene) -> None:
    text = scene.config.read_bytes()
    scene.client.reload()
    assert scene.config.read_bytes() == text


def _subscribe(scene: Scene) -> None:
    with scene.client.subscribe(["config", "models"]) as events:
        assert {next(events).topic, next(events).topic} == {"config", "models"}


def _set_beside_a_list(scene: Scene) -> None:
    """Two files are written at the same time: that takes two threads, where there are two."""
    scene.upstream.models = ["m", *(f"after-{number}" for number in range(3000))]
    try:
        scene.client.list(refresh=True)
        scene.client.config_set("llm_max_tokens", 8)
    finally:
        scene.upstream.models = ["m"]


OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "status": lambda scene: scene.client.status(),
    "list": lambda scene: scene.client.list(refresh=True),
    "generate": lambda scene: scene.client.generate("hi").text,
    "generate with a schema": _schema,
    "select, persisted": _select,
    "config set": lambda scene: scene.client.config_set("llm_max_tokens", 7),
    "config unset": lambda scene: scene.client.config_set("llm_max_tokens", None),
    "reload": _reload,
    "subscribe": _subscribe,
}
"""What is asked for. Where that is a text, it may say that not all of it was done."""

LARGE: dict[str, Callable[[Scene], object]] = {
    "a request of 12 MiB": lambda scene: scene.client.generate(HUGE).text,
    f"a list of {MANY:,} models": _huge_list,
}

BESIDE = {"config set while a list is kept": _set_beside_a_list}


def _command(*arguments: str, **environ: str) -> Callable[[Scene], str]:
    """Return what runs ``devsynthctl`` and tells its first error, or that it had none."""

    def run(scene: Scene) -> str:
        done = scene.ctl(*arguments, **environ)
        assert "Traceback" not in done.stderr
        return DONE if done.returncode == 0 else done.stderr.partition("\n")[0]

    return run


NOBODY = {"DEVSYNTH_SOCKET": "/nonexistent/s.sock"}

COMMANDS: dict[str, Callable[[Scene], object]] = {
    "doctor": _command("doctor"),
    "config set without a daemon": _command("config", "set", "llm_max_tokens", "9", **NOBODY),
    "config edit without a daemon": _command(
        "config", "edit", EDITOR="sed -i s/few/many/", **NOBODY
    ),
}
