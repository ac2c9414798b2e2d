"""What ``doctor`` makes of what it saw."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from devsynthctl.doctor import (
    answer_links,
    api_links,
    daemon_links,
    service_link,
    settings_links,
    upstream_links,
)
from devsynthctl.doctor.answer_links import (
    judge_answer,
    judge_answer_in_context,
    judge_models,
    judge_no_answer,
    judge_source,
)
from devsynthctl.doctor.api_links import judge_api, judge_engine, judge_key, judge_no_list
from devsynthctl.doctor.daemon_links import (
    Commands,
    SocketFault,
    SocketSeen,
    judge_silence,
    judge_socket,
    judge_version,
)
from devsynthctl.doctor.service_link import judge_service
from devsynthctl.doctor.settings_links import (
    ConfigSeen,
    EnvironmentSeen,
    judge_config,
    judge_environment,
)
from devsynthctl.doctor.trouble import State, Trouble, Verdict
from devsynthctl.doctor.upstream_links import Upstream, judge_dns, judge_no_http, judge_tcp
from devsynthctl.errors import BadReply, ConnectionLost, NoAnswer
from devsynthctl.service.reports import ServiceStatus
from devsynthd.upstream.engine_child import load_failure
from devsynthd.upstream.probe import DialFault, Dialled, Nature
from devsynthd.wire import errors
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.objects import Api, Model, Selection, Source, Warn
from devsynthd.wire.results import Completion, Pong
from tests.support import replies

COMMANDS = Commands("START", "RESTART")


def is_told(verdict: Verdict, trouble: Trouble, **fields: object) -> bool:
    """Return whether *verdict* is *trouble* with at least these *fields* filled in."""
    told = f"{verdict.message} {verdict.remedy}"
    beginning = trouble.says.partition("{")[0]
    filled = all(str(value) in told for value in fields.values())
    return verdict.state == trouble.state and beginning in told and filled and "{" not in told


# The daemon ------------------------------------------------------------------------------------


def socket_seen(**fields: Any) -> SocketSeen:  # noqa: ANN401 - any of its fields
    usual = {"path": "/r/d.sock", "folder": "/r", "uid": 7, "folder_uid": 7, "folder_mode": 0o700}
    return SocketSeen(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ("missing", daemon_links.NO_SOCKET),
        ("leftover", daemon_links.LEFTOVER),
        ("not_a_socket", daemon_links.NOT_A_SOCKET),
        ("foreign", daemon_links.FOREIGN),
        ("unusable", daemon_links.UNUSABLE),
    ],
)
def test_each_fault_of_a_socket(fault: SocketFault, trouble: Trouble) -> None:
    verdict = judge_socket(socket_seen(fault=fault, reason="why"), COMMANDS)
    assert is_told(verdict, trouble, path="/r/d.sock")


@pytest.mark.parametrize(
    ("uid", "mode", "trouble"),
    [
        (8, 0o700, daemon_links.FOREIGN_FOLDER),
        (0, 0o1777, daemon_links.SHARED_FOLDER),
        (7, 0o1777, daemon_links.SHARED_FOLDER),
        (7, 0o770, daemon_links.OPEN_FOLDER),
    ],
)
def test_a_folder_that_a_daemon_refuses(uid: int, mode: int, trouble: Trouble) -> None:
    verdict = judge_socket(socket_seen(folder_uid=uid, folder_mode=mode), COMMANDS)
    assert is_told(verdict, trouble, folder="/r")


def test_a_good_socket() -> None:
    assert judge_socket(socket_seen(mode=0o140600), COMMANDS) == Verdict("ok", "/r/d.sock")
    nothing = socket_seen(folder_uid=None, folder_mode=None, fault="missing")
    assert is_told(judge_socket(nothing, COMMANDS), daemon_links.NO_SOCKET, start="START")


@pytest.mark.parametrize(
    ("error", "trouble", "part"),
    [
        (NoAnswer("silent"), daemon_links.HUNG, "RESTART"),
        (BadReply("odd"), daemon_links.STRANGER, "odd"),
        (ConnectionLost("gone"), daemon_links.HUNG_UP, "RESTART"),
        (errors.Forbidden("not yours"), daemon_links.TURNED_AWAY, "START"),
        (errors.ShuttingDown("ends"), daemon_links.ENDING, "START"),
        (errors.Internal("a bug"), daemon_links.DAEMON_FAULT, "a bug"),
    ],
)
def test_each_way_in_which_a_daemon_does_not_answer(
    error: DevsynthError, trouble: Trouble, part: str
) -> None:
    assert is_told(judge_silence(error, "/r/d.sock", COMMANDS), trouble, part=part)


@pytest.mark.parametrize(
    ("theirs", "ours", "trouble"),
    [
        ("0.9.0", "0.10.0", daemon_links.OLD_DAEMON),
        ("0.10.0.dev1", "0.10.0", daemon_links.OLD_DAEMON),
        ("1.0", "0.10.0", daemon_links.OLD_COMMAND),
        ("0.10.0", "0.10.0", None),
    ],
)
def test_versions(theirs: str, ours: str, trouble: Trouble | None) -> None:
    pong = convert(replies.PONG | {"version": theirs}, Pong)
    verdict = judge_version(pong, ours=ours, protocol=1, commands=COMMANDS)
    assert verdict.state == "ok" if trouble is None else is_told(verdict, trouble, theirs=theirs)


# The service -----------------------------------------------------------------------------------


def launchd(**fields: Any) -> ServiceStatus:  # noqa: ANN401 - any of its fields
    return ServiceStatus(**{"manager": "launchd", "installed": True, **fields})


@pytest.mark.parametrize(
    ("seen", "pid", "trouble"),
    [
        (launchd(installed=False), None, service_link.NOT_INSTALLED),
        (launchd(state="waiting"), None, service_link.STOPPED_SERVICE),
        (
            launchd(state="not running", result="exit-code", exit_status=78),
            None,
            service_link.REFUSED_CONFIG,
        ),
        (
            launchd(state="not running", result="exit-code", exit_status=1),
            None,
            service_link.BROKEN_SERVICE,
        ),
        (launchd(state="running", running=True, pid=5), 6, service_link.OTHERWISE_RUNNING),
    ],
)
def test_a_launch_agent(seen: ServiceStatus, pid: int | None, trouble: Trouble) -> None:
    assert is_told(judge_service(seen, pid), trouble)


def test_how_a_service_ended_is_told() -> None:
    failed: dict[str, Any] = {"manager": "systemd", "installed": True, "state": "failed (failed)"}
    killed = ServiceStatus(**failed, result="signal", signal="SIGKILL")
    assert "the daemon failed (signal, SIGKILL)" in judge_service(killed, None).message

    said = "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed: it takes a number"
    refused = ServiceStatus(**failed, result="exit-code", exit_status=78, status=said)
    verdict = judge_service(refused, None)
    assert said in verdict.message
    assert (verdict.remedy or "").startswith("systemctl --user edit devsynthd.service")


def test_a_launch_agent_that_is_well() -> None:
    assert judge_service(launchd(state="running", running=True, pid=5), 5).state == "ok"
    assert judge_service(None, 5).state == "skipped"


# The settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "state", "part"),
    [
        ({}, "ok", "is valid"),
        ({"exists": False}, "ok", "is not there: defaults hold"),
        ({"errors": ["line 1", "line 2"]}, "failed", "line 1\nline 2"),
        ({"daemons": "no weights"}, "failed", "does not take /c.toml: no weights"),
        ({"ours": "/other.toml"}, "warn", "would read /other.toml"),
        ({"locked": "/etc"}, "warn", "may not write to /etc"),
        ({"full_disk": "/"}, "warn", "no room is left on the disk of /c.toml"),
        ({"is_open": True, "ours": "/other.toml"}, "warn", "other users can read it"),
    ],
)
def test_a_config_file(fields: dict[str, Any], state: State, part: str) -> None:
    verdict = judge_config(ConfigSeen(**{"path": "/c.toml", "exists": True, **fields}))
    assert verdict.state == state
    assert part in verdict.message


def test_an_environment_with_several_oddities_tells_all_of_them() -> None:
    seen = EnvironmentSeen(
        has_daemon=True,
        notes=["one differs"],
        useless=["DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed: it takes a number"],
        unknown=["one is unknown"],
        unknown_there=["another is unknown"],
        hidden=["llm_model"],
        proxied=("http://gpu:1", "gpu"),
    )
    verdict = judge_environment(seen, "RESTART")

    assert verdict.state == "warn"
    assert len(verdict.message.splitlines()) == 6
    assert "in the service's unit, another is unknown" in verdict.message
    assert "unset DEVSYNTH_LLM_TEMPERATURE;" in (verdict.remedy or "")
    for part in ("config set KEY VALUE", "`unset`", "RESTART", "NO_PROXY=gpu"):
        assert part in (verdict.remedy or "")
    assert judge_environment(EnvironmentSeen(has_daemon=True), "").state == "ok"


# The server ------------------------------------------------------------------------------------


def upstream(**fields: Any) -> Upstream:  # noqa: ANN401 - any of its fields
    usual = {
        "provider": "lmstudio",
        "api_base": "http://localhost:1234/v1",
        "address": "http://localhost:1234",
        "is_local": True,
        "connect_s": 3.0,
    }
    return Upstream(**{**usual, **fields})


@pytest.mark.parametrize(
    ("server", "faults", "elsewhere", "trouble"),
    [
        (upstream(), ["refused"], None, upstream_links.NOT_RUNNING),
        (upstream(), ["refused", "timeout"], None, upstream_links.NOT_RUNNING),
        (upstream(provider="openai"), ["refused"], None, upstream_links.NO_SERVER),
        (upstream(), ["refused"], "127.0.0.1:4321", upstream_links.OTHER_PORT),
        (upstream(is_local=False), ["refused"], None, upstream_links.NOT_SHARED),
        (upstream(is_local=False), ["timeout"], None, upstream_links.NO_ANSWER_IN_TIME),
        (upstream(is_local=False), ["unreachable"], None, upstream_links.UNREACHABLE),
        (upstream(proxy="p:1"), ["refused"], None, upstream_links.PROXY_DOWN),
    ],
)
def test_connections_that_are_not_made(
    server: Upstream, faults: list[DialFault], elsewhere: str | None, trouble: Trouble
) -> None:
    tried = [Dialled(f"10.0.0.{n}:1234", fault, "why") for n, fault in enumerate(faults)]
    verdict = judge_tcp(server, tried, Dialled(elsewhere) if elsewhere else None)

    assert is_told(verdict, trouble, tried=tried[0].address)
    assert elsewhere is None or f"http://{elsewhere}/v1" in (verdict.remedy or "")


def test_one_address_that_takes_the_connection_is_enough() -> None:
    tried = [Dialled("[::1]:1234", "refused"), Dialled("127.0.0.1:1234")]
    assert judge_tcp(upstream(), tried, None).state == "ok"


def test_names() -> None:
    slow = judge_dns("gpu", TimeoutError("late"), None)
    assert is_told(slow, upstream_links.SLOW_DNS, host="gpu")
    unknown = judge_dns("gpu", OSError(-2, "Name or service not known"), None)
    assert is_told(unknown, upstream_links.NO_SUCH_HOST, reason="Name or service not known")
    assert judge_dns("gpu", ["10.0.0.1"], "gpu:80").message == "gpu (the proxy gpu:80) is 10.0.0.1"


@pytest.mark.parametrize(
    ("nature", "trouble"),
    [
        ("silent", upstream_links.SILENT),
        ("untrusted", upstream_links.UNTRUSTED),
        ("tls", upstream_links.TLS),
        ("proxy", upstream_links.PROXY_FAILED),
        ("closed", upstream_links.CLOSED),
        ("not_http", upstream_links.NOT_HTTP),
        ("other", upstream_links.NO_HTTP),
    ],
)
def test_exchanges_that_fail(nature: Nature, trouble: Trouble) -> None:
    error = errors.UpstreamUnavailable("the words of it", hint="the hint")
    verdict = judge_no_http(upstream(api_base="https://gpu:1/v1"), error, nature)
    assert is_told(verdict, trouble, reason="the words of it")
    assert trouble is not upstream_links.TLS or "http://gpu:1/v1" in (verdict.remedy or "")


def test_what_a_server_speaks() -> None:
    assert judge_api("lmstudio", "A", "lmstudio-v1").state == "ok"
    assert is_told(judge_api("lmstudio", "A", "openai"), api_links.OLD_API, address="A")
    assert judge_api("openai", "A", "openai").state == "ok"
    assert is_told(judge_no_list("R", None, "not_the_api"), api_links.NOT_THE_API)
    assert is_told(judge_no_list("R", "H", "other"), api_links.API_FAULT, hint="H")
    assert judge_key(has_key=False, known=True).message == "no API key is needed"
    assert judge_engine(None, "why", required=True).state == "failed"
    assert judge_engine(None, "why", required=False).state == "warn"
    assert judge_engine("/m.gguf", None, required=True).state == "ok"


# The answers -----------------------------------------------------------------------------------

CHAT, OTHER = Model(id="a b", name="A", loaded=False), Model(id="o", name="O", loaded=True)
VECTORS = Model(id="e", name="E", kind="embedding", loaded=True)
AUTO = Selection("a b", "auto", available=True, reason="the first")


@pytest.mark.parametrize(
    ("models", "selection", "trouble"),
    [
        ([], AUTO, answer_links.NOTHING_DOWNLOADED),
        ([VECTORS], None, answer_links.NO_CHAT_MODEL),
        ([CHAT], Selection(None, "none", None, "off"), answer_links.NOTHING_SELECTED),
        (
            [CHAT],
            Selection("x", "configured", available=False, reason="r"),
            answer_links.NOT_LISTED,
        ),
        ([CHAT], AUTO, answer_links.NONE_LOADED),
    ],
)
def test_models_that_cannot_answer(
    models: list[Model], selection: Selection | None, trouble: Trouble
) -> None:
    assert is_told(judge_models("lmstudio-v1", "A", models, selection), trouble)


@pytest.mark.parametrize(
    ("api", "models", "trouble"),
    [
        ("lmstudio-v0", [], answer_links.NOTHING_LISTED),
        ("openai", [], answer_links.NOTHING_SERVED),
        ("openai", [VECTORS], answer_links.NO_CHAT_MODEL_SERVED),
    ],
)
def test_where_nothing_can_be_downloaded_nobody_is_told_to(
    api: Api, models: list[Model], trouble: Trouble
) -> None:
    verdict = judge_models(api, "A", models, None)
    assert is_told(verdict, trouble)
    assert "devsynthctl download" not in (verdict.remedy or "")


def test_models_that_can() -> None:
    unknown = Model(id="u", name="U")
    assert judge_models("lmstudio-v1", "A", [CHAT, OTHER], AUTO).message == (
        "2 models, 1 loaded; a b answers (auto)"
    )
    assert judge_models("openai", "A", [unknown], None).message == "1 model"
    assert judge_models("embedded", "A", [CHAT], AUTO).state == "ok"
    assert judge_models("openai", "A", [], AUTO).message == "the server at A lists no models"
    assert judge_models("openai", "A", [CHAT], AUTO).state == "ok"
    none_loaded = judge_models("lmstudio-v1", "A", [CHAT], AUTO)
    assert none_loaded.remedy == "devsynthctl load 'a b'"


def test_the_daemons_own_view() -> None:
    failed = replies.SOURCE | {"error": {"code": "upstream_timeout", "message": "slow"}}
    assert judge_source(convert(replies.SOURCE, Source), "RESTART") is None
    verdict = judge_source(convert(failed, Source), "RESTART")
    assert verdict
    assert is_told(verdict, answer_links.DAEMON_CUT_OFF, reason="slow", restart="RESTART")


def answer(text: str, **fields: object) -> Completion:
    return convert(replies.completion(text, **fields), Completion)


def test_answers() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 12, "total_tokens": 13}
    good = judge_answer(answer("yes", usage=usage))
    other = judge_answer(answer("yes", warnings=[Warn("other_model", "m2 answered for m1")]))

    assert good == Verdict("ok", "qwen/small answered in 0.3 s: 12 tokens")
    assert is_told(other, answer_links.OTHER_MODEL, warning="m2 answered for m1")
    assert is_told(judge_answer(answer("yes", fallback=True)), answer_links.FELL_BACK)
    assert is_told(judge_answer(answer(" \n")), answer_links.EMPTY, model="qwen/small")
    assert judge_answer(answer("", reasoning="hm")).state == "ok"
    assert judge_answer(answer("x", warnings=[Warn("truncated", "cut")])).state == "ok"


@pytest.mark.parametrize(
    ("text", "fields", "state"),
    [
        ("It was the HERON.", {}, "ok"),
        ("No idea.", {}, "warn"),
        ("Let me th", {"finish_reason": "length"}, "ok"),
        ("", {"reasoning": "the heron"}, "ok"),
        ("heron", {"fallback": True}, "warn"),
    ],
)
def test_answers_in_context(text: str, fields: dict[str, object], state: State) -> None:
    assert judge_answer_in_context(answer(text, **fields), "heron").state == state


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (errors.ModelLoadFailed("E"), answer_links.LOAD_FAILED),
        (errors.ModelNotFound("E"), answer_links.MODEL_GONE),
        (errors.NoModel("E"), answer_links.NO_MODEL_ANSWERS),
        (errors.DeadlineExceeded("E"), answer_links.TOO_SLOW),
        (errors.UpstreamTimeout("E"), answer_links.MODEL_SILENT),
        (errors.QueueFull("E"), answer_links.BUSY),
        (errors.ContextOverflow("E"), answer_links.TINY_CONTEXT),
        (errors.Incomplete("E", hint="H"), answer_links.NO_ANSWER),
    ],
)
def test_each_error_of_a_generation(error: DevsynthError, trouble: Trouble) -> None:
    verdict = judge_no_answer(error, 120.0)
    assert (verdict.state, verdict.remedy) == ("failed", trouble.remedy.format(hint="H"))


def test_errors_of_the_engine_have_their_own_remedies() -> None:
    failed = load_failure(Path("/"), -11, "bad magic")
    verdict = judge_no_answer(failed, 120.0)
    assert verdict == Verdict("failed", str(failed), failed.hint)
    assert "embedded_model_path" in str(failed.hint)


def test_a_file_that_cannot_be_read_is_not_to_be_edited() -> None:
    locked, folder = (
        judge_config(ConfigSeen(path="/a b", exists=True, errors=[f"/a b cannot be read: {why}"]))
        for why in ("Permission denied", "it is a folder, not a file")
    )
    assert (locked.state, locked.remedy) == ("failed", "chmod u+r '/a b'")
    assert is_told(folder, settings_links.NO_FILE)
    wrong = ConfigSeen(path="/a", exists=True, errors=["/a, line 1: this is not TOML"])
    assert judge_config(wrong).remedy == "devsynthctl config edit"
