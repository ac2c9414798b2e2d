"""The models and what they answer, judged. Pure."""

import shlex
from collections.abc import Sequence

from devsynthctl.doctor.trouble import Trouble, Verdict, ok
from devsynthd.wire.errors import (
    ContextOverflow,
    DeadlineExceeded,
    DevsynthError,
    ModelLoadFailed,
    ModelNotFound,
    NoModel,
    QueueFull,
    UpstreamTimeout,
)
from devsynthd.wire.objects import Api, Model, Selection, Source
from devsynthd.wire.results import Completion

DAEMON_CUT_OFF = Trouble(
    check="models",
    says="from here the server answers, but the daemon's last look failed: {reason}",
    means="The daemon has another environment (proxies), a sandbox, or another API key.",
    remedy="{restart} (if that does not help: see its log)",
)
NO_LIST = Trouble(
    check="models",
    says="the daemon has no list: {reason}",
    means="The daemon could not ask for the models.",
    remedy="{restart}",
)
NOTHING_DOWNLOADED = Trouble(
    check="models",
    says="LM Studio has no models",
    means="Nothing is downloaded yet; or just-in-time loading is off and nothing is loaded, which "
    "older versions list as nothing.",
    remedy="devsynthctl download MODEL, or: lms get",
)
NOTHING_LISTED = Trouble(
    check="models",
    says="LM Studio, a version before 0.4.0, lists no models",
    means="Nothing is downloaded yet. `devsynthctl download` needs a newer version.",
    remedy="download one in LM Studio's own window, or: lms get",
)
NOTHING_SERVED = Trouble(
    check="models",
    says="the server at {address} lists no models",
    means="It was started without one.",
    remedy="give that server a model, as its own manual says",
)
NO_CHAT_MODEL = Trouble(
    check="models",
    says="{count}, but none that chats",
    means="Embedding models make vectors, and answer nothing.",
    remedy="devsynthctl download MODEL, or: lms get",
)
NO_CHAT_MODEL_SERVED = Trouble(
    check="models",
    says="the server at {address} lists {count}, but none that chats",
    means="Embedding models make vectors, and answer nothing.",
    remedy="give that server a model that chats, as its own manual says",
)
NOTHING_SELECTED = Trouble(
    check="models",
    says="{count}, but none answers: {reason}",
    means="`llm_auto_select_model` is off and no model is named.",
    remedy="devsynthctl select MODEL, or: devsynthctl select --auto",
)
NOT_LISTED = Trouble(
    check="models",
    says="{model} is to answer, but is not among the server's {count} ({reason})",
    means="It was deleted or renamed there, or its name is misspelt. No other model is put in its "
    "place.",
    remedy="devsynthctl select MODEL, or: devsynthctl select --auto",
)
NONE_LOADED = Trouble(
    check="models",
    state="warn",
    says="{count}, none of them loaded; {model} answers",
    means="The first answer waits until the model is in memory.",
    remedy="devsynthctl load {quoted}",
)
LOAD_FAILED = Trouble(
    check="generation",
    says="{reason}",
    example="the model could not be loaded",
    means="The model does not fit into memory beside what is loaded, or its file is damaged.",
    remedy="devsynthctl unload MODEL, another one; or take a smaller one: devsynthctl select MODEL",
)
ENGINE_FAILED = Trouble(
    check="generation",
    says="{reason}",
    example="the embedded engine could not load FILE, or another error of the engine",
    means="The engine of `embedded_model_path`, which answers, could not.",
    remedy="{hint}",
)
MODEL_GONE = Trouble(
    check="generation",
    says="{reason}",
    example="the server does not have the model",
    means="The model that is to answer is no longer there.",
    remedy="devsynthctl select MODEL, or: devsynthctl select --auto",
)
NO_MODEL_ANSWERS = Trouble(
    check="generation",
    says="{reason}",
    example="no model is loaded and the server did not load one",
    means="Nothing is loaded, and LM Studio does not load by itself.",
    remedy="devsynthctl load MODEL, or switch on just-in-time loading in LM Studio",
)
TOO_SLOW = Trouble(
    check="generation",
    says="no complete answer within {seconds} s",
    means="The model is large for this machine, or is still being loaded.",
    remedy="devsynthctl --timeout 600 doctor, which waits longer; or take a smaller one: "
    "devsynthctl select MODEL",
)
MODEL_SILENT = Trouble(
    check="generation",
    says="{reason}",
    example="ADDRESS accepted the request, but the first token did not come in time",
    means="The server took the prompt and stayed silent: the model hangs, or takes long to load.",
    remedy="devsynthctl unload MODEL, then: devsynthctl load MODEL; for slow machines: "
    "devsynthctl config set llm_first_token_timeout SECONDS",
)
BUSY = Trouble(
    check="generation",
    says="{reason}",
    example="too many generations wait",
    means="Too many generations wait already.",
    remedy="devsynthctl ps shows them, devsynthctl cancel N ends one",
)
TINY_CONTEXT = Trouble(
    check="generation",
    says="{reason}",
    example="the prompt does not fit the context of the model",
    means="The model was loaded with a context of very few tokens.",
    remedy="devsynthctl unload MODEL; devsynthctl load MODEL --context-length 4096",
)
NO_ANSWER = Trouble(
    check="generation",
    says="{reason}",
    example="another error",
    means="The server could not answer; its own log may say why.",
    remedy="{hint}",
)
FELL_BACK = Trouble(
    check="generation",
    state="warn",
    says="the embedded engine answered in place of the server ({model})",
    means="The server is not reachable, and the settings let the engine stand in.",
    remedy="mend what is said of the server above",
)
OTHER_MODEL = Trouble(
    check="generation",
    state="warn",
    says="{answer}; {warning}",
    example="MODEL answered, and is not the one that was asked for",
    means="LM Studio answers with what is loaded where it does not know the name.",
    remedy="devsynthctl load MODEL, the one that was asked for",
)
EMPTY = Trouble(
    check="generation",
    state="warn",
    says="{model} answered without a word",
    means="The model's prompt template does not fit it, or the model is damaged.",
    remedy="devsynthctl select MODEL, another one",
)
FORGETFUL = Trouble(
    check="context",
    state="warn",
    says="{answer}, but did not use what was said before",
    means="The context was sent. The model is small, or its prompt template drops it.",
    remedy="devsynthctl select MODEL, another one",
)

TROUBLES = (
    *(DAEMON_CUT_OFF, NO_LIST, NOTHING_DOWNLOADED, NOTHING_LISTED, NOTHING_SERVED),
    *(NO_CHAT_MODEL, NO_CHAT_MODEL_SERVED, NOTHING_SELECTED, NOT_LISTED, NONE_LOADED),
    *(LOAD_FAILED, ENGINE_FAILED, MODEL_GONE, NO_MODEL_ANSWERS, TOO_SLOW, MODEL_SILENT, BUSY),
    *(TINY_CONTEXT, NO_ANSWER, FELL_BACK, OTHER_MODEL, EMPTY, FORGETFUL),
)

_ENGINE = "the embedded engine"
"""How errors of the engine begin, as those of a server begin with its address."""

_NOTHING: dict[Api | None, Trouble] = {
    "lmstudio-v1": NOTHING_DOWNLOADED,
    "lmstudio-v0": NOTHING_LISTED,
}
_ERRORS: dict[type[DevsynthError], Trouble] = {
    ModelLoadFailed: LOAD_FAILED,
    ModelNotFound: MODEL_GONE,
    NoModel: NO_MODEL_ANSWERS,
    DeadlineExceeded: TOO_SLOW,
    UpstreamTimeout: MODEL_SILENT,
    QueueFull: BUSY,
    ContextOverflow: TINY_CONTEXT,
}


def judge_source(source: Source, restart: str) -> Verdict | None:
    """Return what it means that the daemon cannot list what this process can; null: it can."""
    if source.error is None:
        return None
    return DAEMON_CUT_OFF.told(reason=source.error.message, restart=restart)


def judge_models(
    api: Api | None, address: str, models: Sequence[Model], selection: Selection | None
) -> Verdict:
    """Return whether the *models* that are listed can answer; *selection* null: no daemon.

    What can be done about them depends on the *api* that the server at *address* speaks.
    """
    if not models:
        return _NOTHING.get(api, NOTHING_SERVED).told(address=address)
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    if all(model.kind == "embedding" for model in models):
        trouble = NO_CHAT_MODEL if api == "lmstudio-v1" else NO_CHAT_MODEL_SERVED
        return trouble.told(address=address, count=count)
    if selection and (verdict := _fault_of_choice(selection, count)):
        return verdict
    states = [model.loaded for model in models]
    answers = f"; {selection.model} answers ({selection.how})" if selection else ""
    if api == "embedded" or any(state is None for state in states):
        return ok(f"{count}{answers}")
    if api == "lmstudio-v1" and not any(states) and selection and selection.model:
        quoted = shlex.quote(selection.model)
        return NONE_LOADED.told(count=count, model=selection.model, quoted=quoted)
    return ok(f"{count}, {states.count(True)} loaded{answers}")


def _fault_of_choice(selection: Selection, count: str) -> Verdict | None:
    if selection.model is None:
        return NOTHING_SELECTED.told(count=count, reason=selection.reason)
    if selection.available is False:
        return NOT_LISTED.told(model=selection.model, count=count, reason=selection.reason)
    return None


def judge_answer(completion: Completion) -> Verdict:
    """Return what an answer to a simple prompt shows."""
    if completion.fallback:
        return FELL_BACK.told(model=completion.model)
    if not (completion.text.strip() or completion.reasoning):
        return EMPTY.told(model=completion.model)
    other = [each.message for each in completion.warnings if each.code == "other_model"]
    if other:
        return OTHER_MODEL.told(answer=_answer(completion), warning=other[0])
    return ok(_answer(completion))


def judge_answer_in_context(completion: Completion, word: str) -> Verdict:
    """Return what an answer shows that takes a *word* from what was said before it."""
    verdict = judge_answer(completion)
    said = f"{completion.text} {completion.reasoning or ''}".casefold()
    if verdict.state != "ok" or word.casefold() in said or completion.finish_reason == "length":
        return verdict  # one that was cut off may have had it still to say
    return FORGETFUL.told(answer=verdict.message)


def judge_no_answer(error: DevsynthError, timeout_s: float) -> Verdict:
    """Return what it means that a generation ended with *error*."""
    trouble = _ERRORS.get(type(error), NO_ANSWER)
    if str(error).startswith(_ENGINE):
        trouble = ENGINE_FAILED
    return trouble.told(
        reason=error,
        hint=error.hint or "the server's own log may say more",
        seconds=f"{timeout_s:g}",
    )


def _answer(completion: Completion) -> str:
    """Return who answered and how fast; never what."""
    timing, usage = completion.timing, completion.usage
    text = f"{completion.model} answered in {timing.total_s:.1f} s"
    if usage is not None:
        text += f": {usage.completion_tokens} tokens"
    if timing.tokens_per_s is not None:
        text += f", {timing.tokens_per_s:.0f} a second"
    return text
