"""The plug-in for Neovim, in a real one."""

import shutil
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES, filled
from tests.examples.neovim import Neovim, neovim
from tests.lmstudio import LMStudio
from tests.support.daemon import DaemonProcess
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, status, tokens
from tests.support.upstream_server import UpstreamServer

ANSWER = "shown(vim.fn.bufnr('devsynth://1'))"
IDLE = "require('devsynth').statusline() == ''"
PLACE = "return vim.api.nvim_win_get_cursor(0)"


def text_of(editor: Neovim) -> str:
    """Return the text of the current buffer."""
    return str(editor.lua("return shown()"))


def told_by(editor: Neovim) -> str:
    """Return what the plug-in has told, once it has told something."""
    editor.wait("#told > 0")
    return "\n".join(editor.lua("return told"))


def test_an_answer_about_the_selection_comes_into_a_split(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("first\n", "second", gate=gate))

    with neovim(daemon.environ) as editor:
        editor.edit("one\ntwo\nthree")
        editor.lua("vim.bo.filetype = 'lua'")
        editor.type("ggVj:DevsynthAsk what is this?<CR>")
        gate.step()
        editor.wait(f"{ANSWER} == 'first\\n'")
        assert editor.lua("return require('devsynth').statusline()") == "devsynth: 1"
        gate.step(2)
        editor.wait(IDLE)

        assert editor.lua(f"return {ANSWER}") == "first\nsecond"
        assert text_of(editor) == "one\ntwo\nthree"  # the cursor has stayed there
        assert editor.lua("return told") == []
    (message,) = upstream.generations[0].body["messages"]
    assert message["content"] == "what is this?\n\n```lua\none\ntwo\n```"


def test_the_split_shows_the_end_of_a_long_answer(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(tokens(*(f"line {number}\n" for number in range(100)), "end"))

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk count<CR>")
        editor.wait(f"{ANSWER}:find('end')")
        assert editor.lua("return vim.fn.line('.', vim.fn.bufwinid('devsynth://1'))") == 101


def test_a_question_is_asked_for(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk<CR>")
        editor.type("why?<CR>")
        editor.wait(f"{ANSWER} == 'Hello world'")

    assert upstream.generations[0].body["messages"][0]["content"] == "why?"


def test_a_gap_is_filled_as_it_comes_and_as_one_undo_step(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(filled("retürn", " x\n    #", " 世", gate=gate))
    before = "def f(x):\n    \n\nf(1)"

    with neovim(daemon.environ) as editor:
        editor.edit("def g(x):\n    \n\nf(1)")
        editor.type("ggWrfj$:DevsynthComplete<CR>")
        gate.step()
        editor.wait("shown():find('retürn')")
        assert text_of(editor) == "def f(x):\n    retürn\n\nf(1)"
        gate.step(3)
        editor.wait(IDLE)
        assert text_of(editor) == "def f(x):\n    retürn x\n    # 世\n\nf(1)"
        assert editor.lua(PLACE) == [3, 6]  # on the last character that was written

        editor.type("u")
        editor.wait("not shown():find('x\\n')")
        assert text_of(editor) == before
        editor.type("u")
        editor.wait("shown():find('def g')")
    asked = upstream.generations[0]
    assert asked.path == "/infill"
    assert asked.body["input_prefix"] == "def f(x):\n    "
    assert asked.body["input_suffix"] == "\n\nf(1)"


def test_in_insert_mode_it_goes_where_one_types(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(filled("a", "b"))

    with neovim(daemon.environ) as editor:
        editor.edit("(é)")
        editor.lua("vim.keymap.set('i', '<C-y>', '<Cmd>DevsynthComplete<CR>')")
        editor.type("0lli<C-y>")
        editor.wait("shown() == '(éab)'")
        editor.wait(IDLE)
        editor.type("!")
        editor.wait("shown():find('!')")

        assert text_of(editor) == "(éab!)"
    assert upstream.generations[0].body["input_prefix"] == "(é"


def test_text_around_the_cursor_is_bounded_at_characters(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(filled("x"))

    with neovim(daemon.environ) as editor:
        editor.lua("require('devsynth').setup({complete = {before = 7, after = 8}})")
        editor.edit("éééé\n(--\n)éééé\nfar away")
        editor.type("ggjA<Esc>:DevsynthComplete<CR>")
        editor.wait(IDLE)

    body = upstream.generations[0].body
    assert (body["input_prefix"], body["input_suffix"]) == ("é\n(--", "\n)ééé")


def test_lm_studio_cannot_fill_a_gap_and_goes_on_from_the_text_before_it(
    studio_daemon: DaemonProcess, lmstudio: LMStudio
) -> None:
    lmstudio.says(" two")
    lmstudio.says(" and")
    with neovim(studio_daemon.environ) as editor:
        editor.edit("one three")
        editor.type("02l:DevsynthComplete<CR>")
        assert "only text before the cursor is used" in told_by(editor)
        editor.wait("shown() == 'one two three'")

        editor.type("02l:DevsynthComplete<CR>")  # without being asked for again
        editor.wait("shown() == 'one and two three'")
        assert len(editor.lua("return told")) == 1


def test_whether_a_gap_is_filled_is_found_out_anew_for_another_model(
    studio_daemon: DaemonProcess, lmstudio: LMStudio
) -> None:
    for _ in range(2):
        lmstudio.says(" two")
    with neovim(studio_daemon.environ) as editor:
        editor.edit("one three")
        for number in (1, 3):
            editor.type("02l:DevsynthComplete<CR>")
            editor.wait(f"#told == {number} and {IDLE}")
            editor.type(":DevsynthModel google/gemma-3-4b<CR>")
            editor.wait(f"#told == {number + 1}")
        first, _, second, _ = editor.lua("return told")
        assert first == second


def test_the_text_after_the_cursor_need_not_be_sent(
    studio_daemon: DaemonProcess, lmstudio: LMStudio
) -> None:
    lmstudio.says(" two")
    with neovim(studio_daemon.environ) as editor:
        editor.lua("require('devsynth').setup({complete = {suffix = false}})")
        editor.edit("one three")
        editor.type("02l:DevsynthComplete<CR>")
        editor.wait("shown() == 'one two three'")


def test_at_the_end_there_is_no_gap(studio_daemon: DaemonProcess, lmstudio: LMStudio) -> None:
    lmstudio.says(" three")

    with neovim(studio_daemon.environ) as editor:
        editor.edit("one two\n\n")
        editor.type("gg$:DevsynthComplete<CR>")
        editor.wait("shown() == 'one two three\\n\\n'")


@pytest.mark.parametrize("keys", [":DevsynthCancel<CR>", "u", ":undo 0<CR>", "dd"])
def test_what_is_written_can_be_stopped(
    daemon: DaemonProcess, upstream: UpstreamServer, keys: str
) -> None:
    """By the command, or by undoing or deleting what has come: noticed with the next piece."""
    gate = Gate()
    upstream.script.append(filled("one", "two", "three", gate=gate))

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthComplete<CR>")
        gate.step()
        editor.wait("shown() == 'one'")
        editor.type(keys)
        if keys != ":DevsynthCancel<CR>":
            editor.wait("shown() == ''")
            gate.step()
        upstream.wait_disconnected()
        editor.wait(IDLE)

        assert told_by(editor) == "devsynth: cancelled"
        assert text_of(editor) == ("one" if keys == ":DevsynthCancel<CR>" else "")


def test_closing_the_split_stops_the_model(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        upstream.wait_generation()
        editor.type("<C-w>j:quit<CR>")
        upstream.wait_disconnected()
        editor.wait(IDLE)


def test_leaving_neovim_stops_the_model(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        upstream.wait_generation()
        editor.type(":quitall!<CR>")
        upstream.wait_disconnected()


def test_an_edit_in_between_is_kept_apart(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    """Text goes on where it belongs, and the person's own change is undone by itself."""
    gate = Gate()
    upstream.script.append(filled("b", "c", gate=gate))

    with neovim(daemon.environ) as editor:
        editor.edit("a\nz")
        editor.type("gg:DevsynthComplete<CR>")
        gate.step()
        editor.wait("shown() == 'ab\\nz'")
        editor.type("Oabove<Esc>")
        editor.wait("shown() == 'above\\nab\\nz'")
        gate.step(2)
        editor.wait(IDLE)
        assert text_of(editor) == "above\nabc\nz"

        for text in ("above\\nab\\nz", "ab\\nz", "a\\nz"):
            editor.type("u")
            editor.wait(f"shown() == '{text}'")


def test_a_model_is_chosen_from_the_list(studio_daemon: DaemonProcess) -> None:
    with neovim(studio_daemon.environ) as editor:
        editor.lua("""
            vim.ui.select = function(items, options, choose)
              offered = vim.tbl_map(options.format_item, items)
              choose(items[2])
            end
        """)
        editor.type(":DevsynthModel<CR>")

        assert told_by(editor) == "devsynth: google/gemma-3-4b answers (selected)"
        assert editor.lua("return offered") == ["qwen/qwen3-4b *", "google/gemma-3-4b"]
    listed = studio_daemon.ctl("models").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed if line.endswith("*")] == ["google/gemma-3-4b"]


def test_a_pipe_that_ended_is_started_again(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        upstream.wait_generation()
        editor.lua(
            "vim.fn.jobstop(vim.tbl_filter(function(channel) return channel.argv end, "
            "vim.api.nvim_list_chans())[1].id)"
        )
        assert "devsynthctl pipe ended" in told_by(editor)

        editor.type(":DevsynthAsk again<CR>")
        editor.wait("shown(vim.fn.bufnr('devsynth://2')) == 'Hello world'")


def test_a_split_whose_answer_is_complete_is_used_again(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("first"))
    upstream.script.append(tokens("second", "...", gate=gate))

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        editor.wait(f"{ANSWER} == 'first' and {IDLE}")
        editor.type(":DevsynthAsk again<CR>")
        gate.step()
        editor.wait(f"{ANSWER} == 'second'")
        editor.type(":DevsynthAsk meanwhile<CR>")  # that one is still being written
        editor.wait("shown(vim.fn.bufnr('devsynth://2')) == 'Hello world'")
        assert editor.lua("return #vim.api.nvim_list_wins()") == 3
        gate.step(2)
        editor.wait(f"{ANSWER} == 'second...'")


def test_a_question_that_fails_leaves_all_as_it_was(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(status(401, {"error": "no"}))
    upstream.script.append(tokens("first"))
    upstream.script.append(status(401, {"error": "no"}))

    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        editor.wait("#told == 1")
        assert editor.lua("return #vim.api.nvim_list_wins()") == 1
        editor.type(":DevsynthAsk hi<CR>")
        editor.wait(f"shown(vim.fn.bufnr('devsynth://2')) == 'first' and {IDLE}")
        editor.type(":DevsynthAsk again<CR>")
        editor.wait("#told == 2")
        assert editor.lua("return shown(vim.fn.bufnr('devsynth://2'))") == "first"


def test_a_question_right_after_a_cancelled_one_has_its_split(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        upstream.wait_generation()
        # That the first one is cancelled is heard of while the second one is under way.
        editor.lua("require('devsynth').cancel(); require('devsynth').ask('again')")
        editor.wait(f"#told > 0 and {IDLE}")
        assert editor.lua(f"return {{{ANSWER}, told}}") == [
            "Hello world",
            ["devsynth: cancelled"],
        ]


def test_with_nothing_to_cancel_that_is_told(daemon: DaemonProcess) -> None:
    with neovim(daemon.environ) as editor:
        editor.type(":DevsynthCancel<CR>")
        assert told_by(editor) == "devsynth: nothing is coming"


def test_ids_of_models_are_completed(studio_daemon: DaemonProcess) -> None:
    with neovim(studio_daemon.environ) as editor:
        found = editor.lua("return vim.fn.getcompletion('DevsynthModel g', 'cmdline')")
        assert found == ["google/gemma-3-4b"]


def test_without_a_daemon_the_hint_is_told(short_dir: Path, path: str) -> None:
    environ = {"PATH": path, "DEVSYNTH_SOCKET": str(short_dir / "nobody.sock")}

    with neovim(environ) as editor:
        editor.type(":DevsynthAsk hi<CR>")
        told = told_by(editor)
        assert "nobody.sock - start the daemon: devsynthd" in told
        assert "\n" not in told
        assert editor.lua("return #vim.api.nvim_list_wins()") == 1


def test_without_devsynthctl_that_is_told(daemon: DaemonProcess) -> None:
    with neovim(daemon.environ) as editor:
        editor.lua("require('devsynth').setup({command = {'no-such-command', 'pipe'}})")
        editor.type(":DevsynthAsk hi<CR>")
        told = told_by(editor)
        assert "no-such-command could not be asked: it is not on the PATH" in told
        assert ":help devsynth-setup" in told


def test_a_text_that_is_too_long_is_not_sent(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    with neovim(daemon.environ) as editor:
        editor.lua("require('devsynth').ask('what is it?', {string.rep('x', 32 * 1024 * 1024)})")
        assert "the text is too long" in told_by(editor)
        editor.wait(IDLE)
    assert not upstream.generations


def test_the_help_has_what_the_messages_point_to(tmp_path: Path, path: str) -> None:
    folder = shutil.copytree(EXAMPLES / "neovim" / "doc", tmp_path / "plugin" / "doc")

    with neovim({"PATH": path}) as editor:
        editor.lua("vim.opt.runtimepath:prepend(...)", str(folder.parent))
        editor.lua("vim.cmd('helptags ' .. ...)", str(folder))
        for topic in ("devsynth", "devsynth-setup", "devsynth-suffix", ":DevsynthAsk"):
            editor.lua("vim.cmd('help ' .. ...)", topic)
            assert editor.lua("return vim.fn.expand('%:t')") == "devsynth.txt"
