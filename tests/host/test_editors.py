"""Neovim and Emacs, without a screen, start a process and talk with it line by line."""

import subprocess
from pathlib import Path

from tests.support.needs import need

NEOVIM = """
function! s:OnOutput(job, data, event) abort
  if a:data[0] !=# ''
    call writefile(['got ' . a:data[0]], 'answer')
    call chanclose(a:job, 'stdin')
  endif
endfunction
let s:job = jobstart(['cat'], {'on_stdout': function('s:OnOutput')})
call chansend(s:job, "hello\\n")
call jobwait([s:job], 10000)
quitall!
"""

EMACS = """
(let ((job (make-process :name "cat" :command '("cat") :connection-type 'pipe
                         :filter (lambda (job line)
                                   (write-region (concat "got " line) nil "answer")
                                   (process-send-eof job)))))
  (process-send-string job "hello\\n")
  (while (accept-process-output job 10)))
"""


def answer_in(folder: Path, command: list[str]) -> str:
    """Return what the editor started by *command* wrote into the file ``answer``."""
    subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=15
    )
    return (folder / "answer").read_text()


def test_neovim_talks_with_a_job(tmp_path: Path) -> None:
    nvim = need("nvim", "apt-get install neovim")
    (tmp_path / "job.vim").write_text(NEOVIM)

    said = answer_in(tmp_path, [nvim, "--headless", "--clean", "-S", "job.vim"])

    assert said == "got hello\n"


def test_emacs_talks_with_a_process(tmp_path: Path) -> None:
    emacs = need("emacs", "apt-get install emacs-nox")
    (tmp_path / "job.el").write_text(EMACS)

    said = answer_in(tmp_path, [emacs, "-Q", "--batch", "--load", "job.el"])

    assert said == "got hello\n"
