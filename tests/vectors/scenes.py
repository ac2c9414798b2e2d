"""What is said where all goes well, but for answers of models, which are in ``answers``."""

from tests.vectors.stage import GEMMA, NEW, QWEN, Scenes, Stage, Talk

SCENES = Scenes()

# The daemon -------------------------------------------------------------------------------------


@SCENES("Is the daemon there, and what does it speak?")
def ping(_: Stage, talk: Talk) -> None:
    talk.send({"op": "ping", "id": 1})
    talk.receive()


@SCENES("What every request may have, with a text for an id and a number that is no integer.")
def common_fields(_: Stage, talk: Talk) -> None:
    talk.send(
        {"op": "ping", "id": "é-1", "v": 1, "timeout": 2.5, "sent": 4e9, "client": "editor/1.0"}
    )
    talk.receive()


@SCENES("16.0 is 16: for languages that have one kind of number.")
def integral_floats(_: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 16.0, "v": 1.0, "since": 0.0, "timeout": 5.0})
    talk.receive()


@SCENES("How is the daemon?")
def status(_: Stage, talk: Talk) -> None:
    talk.send({"op": "status", "id": 1})
    talk.receive()


@SCENES("The daemon ends when all that runs has ended.")
def shutdown(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "shutdown", "id": 1, "grace": 5})
    talk.receive()
    stage.daemon.wait_ended()


# The models -------------------------------------------------------------------------------------


@SCENES("Which models are there?")
def list_models(_: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 1})
    talk.receive()


@SCENES("Only those that are loaded, of a list that is not older than a minute.")
def list_loaded(_: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 1, "loaded": True, "kind": "llm", "max_age": 60})
    talk.receive()


@SCENES("Wait for a change: another model is loaded meanwhile.")
def list_since(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 1, "kind": "llm"})
    generation = talk.receive()["result"]["generation"]
    talk.send({"op": "list", "id": 2, "kind": "llm", "since": generation, "timeout": 10})
    stage.studio.load(GEMMA)
    stage.helper.ask(op="list", id=1, refresh=True)
    talk.receive()


@SCENES("Nothing changes in time: the list as it is, and no error.")
def list_unchanged(_: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 1, "kind": "embedding"})
    generation = talk.receive()["result"]["generation"]
    talk.send({"op": "list", "id": 2, "kind": "embedding", "since": generation, "timeout": 0.05})
    talk.receive()


@SCENES("LM Studio was there, and is gone: the last good list.", running=False)
def list_stale(_: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 1, "refresh": True, "kind": "embedding"})
    talk.receive()


@SCENES("Which model answers from now on; it is written to the config file.")
def select(_: Stage, talk: Talk) -> None:
    talk.send({"op": "select", "id": 1, "model": GEMMA})
    talk.receive()


@SCENES("The daemon shall choose; until it ends only.", settings={"llm_model": GEMMA})
def select_automatically(_: Stage, talk: Talk) -> None:
    talk.send({"op": "select", "id": 1, "model": None, "persist": False})
    talk.receive()


@SCENES("A model that the list does not have, all the same.")
def select_unlisted(_: Stage, talk: Talk) -> None:
    talk.send({"op": "select", "id": 1, "model": "my/own", "persist": False, "force": True})
    talk.receive()


@SCENES("Load a model, and be told while it loads.")
def load(_: Stage, talk: Talk) -> None:
    talk.send({"op": "load", "id": 1, "model": GEMMA, "context_length": 8192, "progress": True})
    talk.receive()
    talk.receive()


@SCENES("A model that is loaded already.")
def load_loaded(_: Stage, talk: Talk) -> None:
    talk.send({"op": "load", "id": 1, "model": QWEN})
    talk.receive()


@SCENES("Unload a model.")
def unload(_: Stage, talk: Talk) -> None:
    talk.send({"op": "unload", "id": 1, "model": QWEN})
    talk.receive()


@SCENES("Download a model, and be told how far it is.")
def download(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "download", "id": 1, "model": NEW, "progress": True})
    talk.receive()
    stage.studio.clock.advance(5)
    talk.receive()
    stage.studio.clock.advance(5)
    talk.receive()


# Settings ---------------------------------------------------------------------------------------


@SCENES("One setting.")
def config_get(_: Stage, talk: Talk) -> None:
    talk.send({"op": "config_get", "id": 1, "key": "llm_temperature"})
    talk.receive()


@SCENES("A secret is not told.", settings={"llm_api_key": "hidden"})
def config_get_secret(_: Stage, talk: Talk) -> None:
    talk.send({"op": "config_get", "id": 1, "key": "llm_api_key"})
    talk.receive()


@SCENES("All settings.")
def config_get_all(_: Stage, talk: Talk) -> None:
    talk.send({"op": "config_get", "id": 1})
    talk.receive()


@SCENES("Write a setting.")
def config_set(_: Stage, talk: Talk) -> None:
    talk.send({"op": "config_set", "id": 1, "key": "llm_max_tokens", "value": 2048})
    talk.receive()


@SCENES("The same as text, as in the environment; and back to the default.")
def config_set_text(_: Stage, talk: Talk) -> None:
    talk.send({"op": "config_set", "id": 1, "key": "llm_auto_select_model", "value": "off"})
    talk.receive()
    talk.send({"op": "config_set", "id": 2, "key": "llm_auto_select_model", "value": None})
    talk.receive()


@SCENES("The file was read after its last change: nothing is different.")
def reload(_: Stage, talk: Talk) -> None:
    talk.send({"op": "reload", "id": 1})
    talk.receive()


# Events -----------------------------------------------------------------------------------------


@SCENES("How the settings are now, then a change, until it is cancelled.")
def subscribe(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "subscribe", "id": "news", "topics": ["config"]})
    talk.receive()
    stage.helper.ask(op="config_set", id=1, key="llm_temperature", value=0.5)
    talk.receive()
    talk.send({"op": "cancel", "id": 1, "target": "news"})
    talk.receive()
    talk.receive()


@SCENES("Everything but the log: the first event of each topic.")
def subscribe_all(_: Stage, talk: Talk) -> None:
    talk.send({"op": "subscribe", "id": 1})
    for _topic in range(4):
        talk.receive()


@SCENES("Another model is selected.")
def subscribe_models(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "subscribe", "id": 1, "topics": ["models"]})
    talk.receive()
    stage.helper.ask(op="select", id=1, model=GEMMA, persist=False)
    talk.receive()


@SCENES("A generation from beginning to end, as a client beside it is told.")
def subscribe_requests(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "subscribe", "id": 1, "topics": ["requests"]})
    talk.receive()
    stage.studio.says("Hello!")
    stage.helper.ask(op="generate", id="g", prompt="Hi", client="editor/1.0")
    while talk.receive()["data"]["requests"][0]["state"] != "done":
        pass


@SCENES("A line of the log.")
def subscribe_log(stage: Stage, talk: Talk) -> None:
    talk.send({"op": "subscribe", "id": 1, "topics": ["config", "log"]})
    talk.receive()
    stage.studio.stop()
    stage.helper.ask(op="list", id=1, refresh=True)
    talk.receive()
