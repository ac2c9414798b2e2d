"""The scenes in which secrets are planted wherever they could be, and what comes out of them."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.lmstudio import LMStudio, faults, paths
from tests.process.conftest import asks
from tests.process.planted_secrets import Echo, secret, spellings
from tests.support.daemon import DaemonProcess, Dealer, daemon_process, toml_of
from tests.support.fake_systemctl import make_machine, running
from tests.support.upstream_server import UpstreamServer

FILE, NEXT, BROKEN = secret("File"), secret("Next"), secret("Broken")
ENVIRONMENT, SHELL, EXTRA = secret("Environment"), secret("Shell"), secret("Extra")
PROXY, LOGIN = secret("Proxy", "%2F%40'"), secret("Login", "-")
NETRC = secret("Netrc", "-")
NAMES = ("File", "Next", "Broken", "Environment", "Shell", "Extra", "Proxy", "Login", "Netrc")


WATCHERS = ("events", "top")
"""Commands that go on until they are ended."""


class Scene:
    """Runs commands against one daemon after the other, and keeps what comes out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: dict[str, str] = {}
        self.commands: set[str] = set()

    def keep(self, name: str, *parts: object) -> None:
        """Keep what was said, under a name of its own."""
        self.said[f"{len(self.said)} {name}"] = "\n".join(map(str, parts))

    def run(
        self, daemon: DaemonProcess, *lines: str, stdin: str | None = None, **environ: str
    ) -> list["subprocess.CompletedProcess[str]"]:
        """Run the commands *lines*, several at a time, and keep what they say."""

        def one(line: str) -> "subprocess.CompletedProcess[str]":
            words = [word.replace("\0", " ") for word in line.split(" ")]
            return daemon.ctl(*words, stdin=stdin, limit_s=30, environ=environ)

        with ThreadPoolExecutor(4) as threads:
            all_done = list(threads.map(one, lines))
        for line, done in zip(lines, all_done, strict=True):
            words = [word for word in line.split(" ") if not word.startswith("-")]
            self.commands |= {" ".join(words[:1]), " ".join(words[:2])}
            self.keep(line.partition("planted")[0], done.stdout, done.stderr)
        return all_done


def broken_files() -> dict[str, str]:
    """Return config files that are wrong where the key is, or that have it in the wrong place."""
    as_text = json.dumps(BROKEN)
    return {
        "unclosed": f"[llm]\napi_key = {as_text[:-1]}\n",
        "bare": f"[llm]\napi_key = {BROKEN}\n",
        "a list": f"[llm]\napi_key = [{as_text}]\n",
        "with a space": f'[llm]\napi_key = {as_text[:-1]} "\n',
        "unknown key": f"[llm]\napi_keys = {as_text}\n",
        "no table": f"llm_api_key = {as_text}\n",
        "other table": f"[daemon]\napi_key = {as_text}\n",
        "twice": f"[llm]\napi_key = {as_text}\napi_key = {as_text}\n",
        "login": f'[llm]\napi_base = "http://me:{LOGIN}@gpu.example/v1"\n',
        "login with a slash": f'[llm]\napi_base = "http://me:a/{LOGIN}@gpu.example/v1"\n',
        "query": f'[llm]\napi_base = "http://gpu.example/v1?key={LOGIN}"\n',
    }


REQUESTS: tuple[dict[str, Any], ...] = (
    {"op": "ping"},
    {"op": "status"},
    {"op": "list", "refresh": True},
    {"op": "select", "model": "m"},
    {"op": "generate", "prompt": "hi", "extra": {"user": EXTRA, "nested": [{"api_key": EXTRA}]}},
    {"op": "generate", "prompt": f"Why is the key {FILE} refused?"},
    {"op": "generate", "prompt": "hi", "extra": EXTRA},
    {"op": "generate", "prompt": "hi", "tools": [{"type": EXTRA}]},
    {"op": "generate", "prompt": "hi", "api_key": EXTRA},
    {"op": "generate", "prompt": "hi", "temperature": EXTRA},
    {"op": "generate", "prompt": "hi", "stream": False},
    {"op": "embed", "input": "hi"},
    {"op": "load", "model": "m"},
    {"op": "unload", "model": "m"},
    {"op": "download", "model": "m"},
    {"op": "cancel", "target": 99},
    {"op": "cancel", "request": 99},
    {"op": "config_get"},
    {"op": "config_get", "key": "llm_api_key"},
    {"op": "config_set", "key": "llm_api_key", "value": NEXT},
    {"op": "config_set", "key": "llm_api_key", "value": f"{NEXT} with a space"},
    {"op": "config_set", "key": "llm_api_key", "value": FILE},
    {"op": "config_set", "key": "llm_api_base", "value": f"http://me:{LOGIN}@gpu.example/v1"},
    {"op": "reload"},
)


def by_hand(scene: Scene, daemon: DaemonProcess, echo: Echo) -> tuple[set[str], set[str]]:
    """Ask everything over the socket, watched; return the ops: those asked, those there are."""
    with closing(Dealer(daemon.endpoint)) as dealer, closing(Dealer(daemon.endpoint)) as watcher:
        offered = set(dealer.ask(op="ping", id="ops")["result"]["ops"])
        topics = ["models", "upstream", "config", "log", "requests"]
        watcher.send(op="subscribe", id="watch", topics=topics, level="debug")
        for number, request in enumerate(REQUESTS):
            dealer.send(id=number, **request)
            _until_ended(scene, dealer, number)
        failing = echo.fail_once_each()
        for number in range(100, 100 + failing):
            dealer.send(op="generate", id=number, prompt="hi")
            _until_ended(scene, dealer, number)
        echo.fail_lists()
        dealer.send(op="list", id="stale", refresh=True)
        _until_ended(scene, dealer, "stale")
        echo.heal()
        watcher.send(op="cancel", id="enough", target="watch")
        _until_ended(scene, watcher, "watch")
    return {str(each["op"]) for each in REQUESTS} | {"subscribe"}, offered


def _until_ended(scene: Scene, dealer: Dealer, number: int | str) -> None:
    replies: list[dict[str, Any]] = []
    while not replies or replies[-1]["type"] not in ("result", "error"):
        reply = dealer.receive()
        if reply["id"] == number or reply["type"] == "event":
            replies.append(reply)
    scene.keep(f"request {number}", *(json.dumps(each, ensure_ascii=False) for each in replies))


def with_the_key_in_the_file(scene: Scene) -> tuple[Echo, set[str], set[str]]:
    """Ask and be told of everything, of a server that repeats the key."""
    echo = Echo(spellings(FILE), elsewhere=f"http://me:{LOGIN}@127.0.0.1:1/")
    config = scene.folder / "config.toml"
    with ExitStack() as stack:
        server = stack.enter_context(UpstreamServer(answer=echo.answer))
        settings = {"llm_provider": "openai", "llm_api_base": server.url}
        config.write_text(toml_of({**settings, "daemon_log_level": "debug"}), encoding="utf-8")
        config.chmod(0o600)
        daemon = stack.enter_context(daemon_process(scene.folder))
        scene.run(daemon, "config set llm_api_key", stdin=FILE)
        watchers = [stack.enter_context(daemon.start_ctl(name)) for name in WATCHERS]
        ops, offered = by_hand(scene, daemon, echo)
        echo.fail_once_each()
        state = {"XDG_STATE_HOME": str(scene.folder / "state"), "EDITOR": "true"}
        scene.run(
            daemon,
            *("generate hi", "generate hi", "embed hi", "chat", "select m", "models --refresh"),
            *("status", "status --json", "ping", "ps", "load m", "unload m", "download m"),
            *("cancel 99", "schema", "completion bash", "config", "config list --json"),
            *("config get llm_api_key", "config diff", "config --key llm_api_key", "config edit"),
            *("config path", "config check", "config schema", "config list"),
            *("doctor", "doctor --json"),
            f"config set llm_api_key {FILE}",
            f"config set llm_api_key={BROKEN} x",
            f"config set llm_api_key {BROKEN}\0x",
            f"config --key llm_api_key --value {FILE}",
            f"generate -o extra.user={EXTRA} hi",
            **state,
        )
        pipe = [{"op": "config_set", "id": 1, "key": "llm_api_key", "value": FILE}]
        pipe += [{"op": "ping", "id": 2, "api_key": EXTRA}]
        scene.run(
            daemon, "pipe", stdin="\n".join([*map(json.dumps, pipe), f'{{"op": "{EXTRA}']) + "\n"
        )
        with_broken_files(scene, daemon, config)
        for name, watcher in zip(WATCHERS, watchers, strict=True):
            watcher.terminate()
            scene.keep(name, *watcher.communicate())
            scene.commands.add(name)
        scene.run(daemon, "config unset llm_api_key", "reload")
        scene.run(daemon, "shutdown")
        daemon.wait()
        scene.keep("the log in JSON", daemon.log())
    return echo, ops, offered


def with_broken_files(scene: Scene, daemon: DaemonProcess, config: Path) -> None:
    """Have the daemon and the commands read files that are wrong where the key is."""
    good = config.read_bytes()
    files = []
    for number, (name, content) in enumerate(broken_files().items()):
        file = scene.folder / f"broken-{number}.toml"
        file.write_text(content, encoding="utf-8")
        file.chmod(0o600)
        files.append(file)
        config.write_bytes(file.read_bytes())
        with closing(Dealer(daemon.endpoint)) as dealer:
            scene.keep(f"reload, {name}", dealer.ask(op="reload", id=1))
            scene.keep(f"status, {name}", dealer.ask(op="status", id=2))
    scene.run(daemon, *(f"config check {file}" for file in files[::4]), "status", "doctor")
    config.write_bytes(good)
    for file in files:
        file.unlink()


def with_the_key_in_the_environment(scene: Scene) -> list[dict[str, str]]:
    """Have LM Studio refuse all there is; the shell has another key, and a wrong base."""
    folder = scene.folder / "b"
    folder.mkdir(mode=0o700)
    with LMStudio("v1", ["m"]) as studio:
        studio.require_token(ENVIRONMENT)
        environ = asks(studio.url, llm_provider="lmstudio", llm_api_key=ENVIRONMENT)
        environ["DEVSYNTH_DAEMON_LOG_LEVEL"] = "debug"
        shell = {
            "DEVSYNTH_LLM_API_KEY": SHELL,
            "DEVSYNTH_LLM_API_BASE": f"http://me:{LOGIN}@gpu.example/v1",
            "HOME": str(folder),
        }
        with daemon_process(folder, "--log-format", "text", environ=environ) as daemon:
            said = spellings(ENVIRONMENT)
            for path in (paths.LOAD, paths.UNLOAD, paths.DOWNLOAD):
                studio.next_fault(faults.native_error("internal_error", said, 500), path=path)
            scene.run(
                daemon,
                *("load m", "unload m", "download m", "generate hi", "status", "config list"),
                *("config get llm_api_key", "config diff", "config check"),
                f"doctor --report {folder}/report.md",
                **shell,
            )
            studio.require_token("another")
            scene.run(daemon, "models --refresh", "generate hi", "doctor --json", **shell)
            scene.keep("the log as text", daemon.log())
        requests = [each.headers for each in studio.requests()]
    scene.keep("a daemon that cannot start", *refused(folder, shell))
    return requests


def refused(folder: Path, environ: dict[str, str]) -> list[str]:
    """Return what ``devsynthd`` says of what it cannot use."""
    said = []
    for more in ({}, {"DEVSYNTH_LLM_API_KEY": f"{SHELL} with a space"}):
        with closing(DaemonProcess(folder, "--check", environ={**environ, **more})) as daemon:
            assert daemon.wait() == 78
            said.append(daemon.log())
    return said


def behind_a_proxy(scene: Scene) -> list[dict[str, str]]:
    """Reach the server through a proxy that wants a password and repeats it, with a .netrc too."""
    folder = scene.folder / "c"
    folder.mkdir(mode=0o700)
    netrc = folder / "netrc"
    netrc.write_text(f"machine gpu.example login me password {NETRC}\n")
    netrc.chmod(0o600)
    echo = Echo(spellings(PROXY), elsewhere=f"http://me:{PROXY}@127.0.0.1:1/")
    echo.fail_lists()
    config = {"llm_provider": "openai", "llm_api_base": "http://gpu.example/v1"}
    (folder / "config.toml").write_text(toml_of({**config, "daemon_log_level": "debug"}))
    (folder / "config.toml").chmod(0o600)
    with UpstreamServer(answer=echo.answer) as server:
        places = {
            "working": f"http://me:{PROXY}@127.0.0.1:{server.port}",
            "no URL": f"http://me:pass/{PROXY}@127.0.0.1:{server.port}",
        }
        for name, url in places.items():
            environ = {"HTTP_PROXY": url, "http_proxy": url, "NETRC": str(netrc), "no_proxy": ""}
            with daemon_process(folder, "--log-format", "journal", environ=environ) as daemon:
                report = folder / f"{len(scene.said)}.md"
                scene.run(daemon, "generate hi", "status", f"doctor --report {report}")
                scene.keep(f"the log in fields, proxy {name}", daemon.log())
    return echo.headers


def as_a_service(scene: Scene) -> None:
    """Install it from a shell that has the key; no unit may have it."""
    home = scene.folder / "home"
    home.mkdir(mode=0o700)
    machine = make_machine(home)
    shell = {"DEVSYNTH_LLM_API_KEY": SHELL, "HTTP_PROXY": f"http://me:{PROXY}@proxy.example:1"}
    with running(machine):
        for command in ("install", "status", "logs", "restart", "start", "stop", "uninstall"):
            done = machine.run(command, **shell)
            scene.keep(f"service {command}", done.stdout, done.stderr, *written(machine.home))
            scene.commands |= {"service", f"service {command}"}


def written(folder: Path) -> list[str]:
    """Return what all files below *folder* say."""
    return [
        f"{file}: {file.read_text(encoding='utf-8', errors='replace')}"
        for file in folder.rglob("*")
        if file.is_file()
    ]
