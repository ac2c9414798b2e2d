"""What the server speaks, judged: the generation of its API, the key, and the engine. Pure."""

from devsynthctl.doctor.trouble import Trouble, Verdict, ok
from devsynthd.upstream.probe import Nature

NOT_THE_API = Trouble(
    check="api",
    says="{reason}",
    example="ADDRESS is not the API of a language model server",
    means="Something else than a language model server listens there, or `llm_api_base` has the "
    "wrong path.",
    remedy="check port and path: devsynthctl config set llm_api_base http://localhost:1234/v1 is "
    "LM Studio's default",
)
OLD_API = Trouble(
    check="api",
    state="warn",
    says="{address} speaks only {api}",
    means="An LM Studio before 0.4.0 does not tell, or cannot do, all that newer ones can; another "
    'server than LM Studio is better named by `llm_provider = "openai"`.',
    remedy="update LM Studio; or, for another server: devsynthctl config set llm_provider openai",
)
API_FAULT = Trouble(
    check="api",
    says="{reason}",
    example="ADDRESS answered with an error: the reason",
    means="The server answered the question for its models with an error.",
    remedy="{hint}",
)
NO_KEY = Trouble(
    check="auth",
    says="{address} wants an API key, and none is set",
    means='"Require Authentication" is switched on in LM Studio, or a gateway wants a token.',
    remedy="devsynthctl config set llm_api_key, which asks for it",
)
WRONG_KEY = Trouble(
    check="auth",
    says="{address} does not accept the API key",
    means="The key was revoked, or is another server's.",
    remedy="devsynthctl config set llm_api_key, which asks for another one",
)
NO_ENGINE = Trouble(
    check="engine",
    says="there is no embedded engine: {reason}",
    means="The settings ask for the llama.cpp engine of devsynthd, and it or its model is missing.",
    remedy="pip install 'devsynthd[embedded]', and devsynthctl config set embedded_model_path FILE",
)

TROUBLES = (NOT_THE_API, OLD_API, API_FAULT, NO_KEY, WRONG_KEY, NO_ENGINE)

_NAMES = {
    "lmstudio-v1": "LM Studio's API, generation v1 (0.4.0 and newer)",
    "lmstudio-v0": "LM Studio's API, generation v0 (0.3.6 and newer)",
    "openai": "the OpenAI-compatible API",
    "embedded": "the embedded engine",
}


def judge_api(provider: str, address: str, api: str) -> Verdict:
    """Return which generation of its API the server at *address* speaks."""
    name = _NAMES.get(api, api)
    if provider == "lmstudio" and api != "lmstudio-v1":
        return OLD_API.told(address=address, api=name)
    return ok(name)


def judge_no_list(reason: str, hint: str | None, nature: Nature) -> Verdict:
    """Return what it means that the server gave no list, for another reason than the key."""
    if nature == "not_the_api":
        return NOT_THE_API.told(reason=reason)
    return API_FAULT.told(reason=reason, hint=hint or "the server's own log may say more")


def judge_refused_key(address: str, *, has_key: bool) -> Verdict:
    """Return what to do about a server that refuses the key, or wants one."""
    return (WRONG_KEY if has_key else NO_KEY).told(address=address)


def judge_key(*, has_key: bool, known: bool) -> Verdict:
    """Return that the server lists its models; *known*: with the key that we have."""
    if not known:
        return ok("the daemon's API key is accepted")
    return ok("the API key is accepted" if has_key else "no API key is needed")


def judge_engine(weights: str | None, reason: str | None, *, required: bool) -> Verdict:
    """Return whether the engine can be run; *required*: nothing answers without it."""
    if weights:
        return ok(f"installed, with {weights}")
    verdict = NO_ENGINE.told(reason=reason or "no reason given")
    return verdict if required else Verdict("warn", verdict.message, verdict.remedy)
