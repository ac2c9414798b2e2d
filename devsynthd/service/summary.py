"""How the daemon does, in one line: what a service manager shows. Pure."""

from collections.abc import Sequence

from devsynthd.wire.objects import Model, Selection, Source


def summary(source: Source, models: Sequence[Model] | None, selection: Selection) -> str:
    """Return who is asked, what it has, and which model answers.

    It has no times in it, so that it changes only with what it tells.
    """
    return f"{_upstream(source, models)}; {_answers(source, selection)}"


def _upstream(source: Source, models: Sequence[Model] | None) -> str:
    name = _NAMES[source.provider]
    if source.error is not None:  # it names the address
        how = " does not list its models" if source.reachable else ""
        return f"{name}{how}: {source.error.message}"
    where = name if source.provider == "embedded" else f"{name} at {source.api_base}"
    if models is None:
        return f"{where} has not answered yet"
    loaded = sum(model.loaded is True for model in models)
    return f"{where}: {_count(len(models))}, {loaded} loaded"


_NAMES = {
    "lmstudio": "LM Studio",
    "openai": "the OpenAI-compatible server",
    "embedded": "the embedded engine",
}


def _count(models: int) -> str:
    return f"{models} model" if models == 1 else f"{models} models"


def _answers(source: Source, selection: Selection) -> str:
    if selection.model is not None and selection.available is not False:
        return f"{selection.model} answers"
    is_why = source.error is not None and not source.reachable
    return "no model answers" if is_why else f"no model answers: {selection.reason}"
