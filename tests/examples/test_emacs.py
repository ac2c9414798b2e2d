"""The package for Emacs, in a real one, without a screen."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

import pytest

from tests.examples.conftest import EXAMPLES, filled
from tests.lmstudio import LMStudio
from tests.support.daemon import DaemonProcess
from tests.support.lines import Lines
from tests.support.needs import need
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer

SOURCE = EXAMPLES / "emacs" / "devsynth.el"

PREPARE = """
(require 'devsynth)

(defmacro wait-until (condition)
  `(with-timeout (10 (error "Not so in 10 s: %S; %S" ',condition (buffer-string)))
     (while (not ,condition) (accept-process-output nil 0.02))))

(defun shown (&optional name) (with-current-buffer (or name (current-buffer)) (buffer-string)))

(defun idle () (null devsynth--running))

(defun all-answered () (hash-table-empty-p (process-get devsynth--process 'handlers)))

(defun say (&rest values) (message "SAYS %S" (if (cdr values) values (car values))))

(defun undo-once () (undo-boundary) (let ((last-command nil)) (undo)))

(pop-to-buffer (generate-new-buffer "text"))
(buffer-enable-undo)
"""


@contextlib.contextmanager
def emacs(folder: Path, environ: Mapping[str, str], script: str) -> Iterator[Lines]:
    """Run *script* in an Emacs that has loaded the package; it has ended well after the block.

    What it says and what the package tells are lines of its standard error.
    """
    command = need("emacs", "apt-get install emacs-nox")
    file = folder / "script.el"
    file.write_text(f";;; -*- lexical-binding: t; -*-\n{PREPARE}\n{script}", encoding="utf-8")
    with subprocess.Popen(
        [command, "-Q", "--batch", "-L", str(SOURCE.parent), "-l", str(file)],
        env={**environ, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = Lines(cast("IO[str]", process.stderr))
        try:
            yield lines
            assert process.wait(15) == 0, lines.wait_end()
        finally:
            process.kill()
            lines.wait_end()


def said(lines: Lines) -> list[str]:
    """Return what the script has said, once it has ended."""
    return [line.removeprefix("SAYS ") for line in lines.wait_end().split("\n") if "SAYS" in line]


COMPILE = """(progn (setq byte-compile-error-on-warn t)
                    (or (byte-compile-file file) (kill-emacs 1)))"""
CHECKDOC = "(progn (setq sentence-end-double-space t) (checkdoc-file file))"


@pytest.mark.parametrize("check", [COMPILE, CHECKDOC], ids=["byte-compile", "checkdoc"])
def test_it_is_in_order(tmp_path: Path, check: str) -> None:
    command = need("emacs", "apt-get install emacs-nox")
    file = shutil.copy(SOURCE, tmp_path)

    done = subprocess.run(
        [command, "-Q", "--batch", "--eval", f'(let ((file "{file}")) {check})'],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_an_answer_about_the_region_comes_into_a_buffer(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("first\n", "zweitens: ü", gate=gate))
    script = """
    (insert "one\\ntwö\\nthree\\n")
    (devsynth-ask-region 1 9 "what is this?")
    (wait-until (equal (shown "*devsynth*") "first\\n"))
    (say "first")
    (wait-until (idle))
    (say (shown "*devsynth*"))
    (say (= (point-max) (point)) (window-point (get-buffer-window "*devsynth*")))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        gate.step()
        lines.wait_for('SAYS "first"')
        gate.step(2)

    assert said(lines) == ['"first"', '"first', "(t 18)"]
    assert 'zweitens: ü"' in lines.text()
    (message,) = upstream.generations[0].body["messages"]
    assert message["content"] == "what is this?\n\n```\none\ntwö\n```"


def test_a_gap_is_filled_as_it_comes_and_as_one_undo_step(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(filled("retürn", " x", ";", gate=gate))
    script = """
    (insert "f(")
    (undo-boundary)
    (insert "x):  end")
    (undo-boundary)
    (goto-char 7)
    (devsynth-complete)
    (wait-until (equal (shown) "f(x): retürn end"))
    (say "first")
    (undo-boundary)                     ; as a timer sets it
    (wait-until (idle))
    (say (shown) (point))
    (undo-once)
    (say (shown))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        gate.step()
        lines.wait_for('SAYS "first"')
        gate.step(3)

    assert said(lines) == ['"first"', '("f(x): retürn x; end" 16)', '"f(x):  end"']
    asked = upstream.generations[0]
    assert asked.path == "/infill"
    assert (asked.body["input_prefix"], asked.body["input_suffix"]) == ("f(x): ", " end")


def test_text_around_point_is_bounded(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(filled("x"))
    script = """
    (setq devsynth-chars-before 3 devsynth-chars-after 2)
    (insert "ééééüüüü")
    (goto-char 5)
    (devsynth-complete)
    (wait-until (idle))
    """

    with emacs(tmp_path, daemon.environ, script):
        body = upstream.wait_generation().body

    assert (body["input_prefix"], body["input_suffix"]) == ("ééé", "üü")


def test_lm_studio_cannot_fill_a_gap_and_goes_on_from_the_text_before_it(
    tmp_path: Path, studio_daemon: DaemonProcess, lmstudio: LMStudio
) -> None:
    lmstudio.says(" two")
    lmstudio.says(" and")
    lmstudio.says(" four")
    script = """
    (insert "one three")
    (goto-char 4)
    (devsynth-complete)
    (wait-until (idle))
    (say (shown))
    (devsynth-complete)                 ; without being told once more
    (wait-until (idle))
    (say (shown))
    (setq devsynth-use-suffix nil)
    (goto-char (point-max))
    (devsynth-complete)                 ; at the end there is no gap
    (wait-until (idle))
    (say (shown))
    """

    with emacs(tmp_path, studio_daemon.environ, script) as lines:
        pass

    assert said(lines) == [
        '"one two three"',
        '"one two and three"',
        '"one two and three four"',
    ]
    told = [line for line in lines.text().split("\n") if "fill in the middle" in line]
    assert len(told) == 1
    assert told[0].endswith(" - only the text before point is used")


def test_whether_a_gap_is_filled_is_found_out_anew_for_another_model(
    tmp_path: Path, studio_daemon: DaemonProcess, lmstudio: LMStudio
) -> None:
    for _ in range(2):
        lmstudio.says(" two")
    script = """
    (insert "one three")
    (goto-char 4)
    (devsynth-complete)
    (wait-until (idle))
    (devsynth-select-model "google/gemma-3-4b")
    (wait-until (all-answered))
    (devsynth-complete)
    (wait-until (idle))
    """

    with emacs(tmp_path, studio_daemon.environ, script) as lines:
        pass

    assert lines.text().count("only the text before point is used") == 2


def test_text_typed_meanwhile_stays_before_what_is_written(
    tmp_path: Path, studio_daemon: DaemonProcess, lmstudio: LMStudio
) -> None:
    lmstudio.says(" two")
    script = """
    (insert "one three")
    (goto-char 4)
    (devsynth-complete)
    (goto-char 1)
    (insert "zero ")
    (wait-until (idle))
    (say (shown))
    """

    with emacs(tmp_path, studio_daemon.environ, script) as lines:
        pass

    assert said(lines) == ['"zero one two three"']


@pytest.mark.parametrize(
    "stop",
    [
        "(devsynth-cancel)",
        '(with-current-buffer "*scratch*" (devsynth-cancel))',
        "(undo-once)",
        "(erase-buffer)",
        "(kill-buffer)",
        "(setq buffer-read-only t)",
    ],
)
def test_what_is_written_can_be_stopped(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer, stop: str
) -> None:
    """At once by a command or by killing the buffer, else with the next piece."""
    gate = Gate()
    upstream.script.append(filled("one", "two", "three", gate=gate))
    script = f"""
    (devsynth-complete)
    (wait-until (equal (shown) "one"))
    {stop}
    (say "stopped")
    (wait-until (and (idle) (all-answered)))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        gate.step()
        lines.wait_for('SAYS "stopped"')
        if "cancel" not in stop and "kill" not in stop:
            gate.step()
        upstream.wait_disconnected()
        lines.wait_for("devsynth: cancelled")


def test_an_edit_in_between_is_kept_apart(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(filled("b", "c", gate=gate))
    script = """
    (insert "a-")
    (undo-boundary)
    (goto-char 2)
    (devsynth-complete)
    (wait-until (equal (shown) "ab-"))
    (undo-boundary)
    (goto-char 1)
    (insert "above ")
    (undo-boundary)
    (say "edited")
    (wait-until (idle))
    (say (shown) (point))
    (undo-once)
    (say (shown))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        gate.step()
        lines.wait_for('SAYS "edited"')
        gate.step(2)

    assert said(lines) == ['"edited"', '("above abc-" 7)', '"above ab-"']


def test_leaving_emacs_stops_the_model(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", "y", gate=gate))
    script = '(devsynth-ask "hi") (wait-until (equal (shown "*devsynth*") "x"))'

    with emacs(tmp_path, daemon.environ, script):
        gate.step()
    upstream.wait_disconnected()


def test_a_model_is_chosen_from_the_list(tmp_path: Path, studio_daemon: DaemonProcess) -> None:
    script = """
    (setq completing-read-function
          (lambda (_prompt collection &rest _) (setq offered collection) (nth 1 collection)))
    (defvar offered nil)
    (devsynth-select-model)
    (wait-until (and offered (all-answered)))
    (say offered)
    """

    with emacs(tmp_path, studio_daemon.environ, script) as lines:
        pass

    assert said(lines) == ['("qwen/qwen3-4b" "google/gemma-3-4b")']
    assert "devsynth: google/gemma-3-4b answers (selected)" in lines.text()


def test_a_pipe_that_ended_is_started_again(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", "y", gate=gate))
    script = """
    (devsynth-ask "hi")
    (wait-until (equal (shown "*devsynth*") "x"))
    (delete-process devsynth--process)
    (wait-until (idle))
    (devsynth-ask "again")
    (devsynth-ask "and again")
    (wait-until (idle))
    (say (shown "*devsynth*<2>") (shown "*devsynth*<3>"))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        gate.step()

    assert said(lines) == ['("Hello world" "Hello world")']
    assert "devsynth: devsynthctl pipe: killed" in lines.text()


def test_without_a_daemon_the_hint_is_told(tmp_path: Path, short_dir: Path, path: str) -> None:
    environ = {"PATH": path, "DEVSYNTH_SOCKET": str(short_dir / "nobody.sock")}

    with emacs(tmp_path, environ, '(devsynth-ask "hi") (wait-until (idle))') as lines:
        pass

    assert "nobody.sock - start the daemon: devsynthd" in lines.text()


def test_without_devsynthctl_that_is_told(tmp_path: Path, daemon: DaemonProcess) -> None:
    script = """
    (setq devsynth-command '("no-such-command" "pipe"))
    (condition-case problem (devsynth-ask "hi") (user-error (say (cadr problem))))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        pass

    assert "is no-such-command installed, and in" in said(lines)[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("(make-string 33554432 ?x)", "too long"), ('(string-to-multibyte "\\310")', "Unicode")],
)
def test_a_text_that_cannot_be_sent_is_refused(
    tmp_path: Path, daemon: DaemonProcess, upstream: UpstreamServer, text: str, reason: str
) -> None:
    script = f"""
    (insert {text})
    (condition-case problem (devsynth-ask-region (point-min) (point-max) "what is it?")
      (user-error (say (cadr problem))))
    (say (and (idle) (null (get-buffer "*devsynth*"))))
    """

    with emacs(tmp_path, daemon.environ, script) as lines:
        pass

    told, idle = said(lines)
    assert reason in told
    assert idle == "t"
    assert not upstream.generations
