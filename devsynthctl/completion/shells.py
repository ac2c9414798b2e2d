"""How each shell is told what completes a word, beyond what click's own scripts can do.

Those lose what follows a space, a colon in bash, or ``--option=``. What completes a word is found
by click; here is what the word was, and how the shell wants to hear of it.
"""

import os
from typing import ClassVar

from click.shell_completion import ShellComplete

from devsynthctl.completion.outline import Item
from devsynthctl.completion.typed import quoted, read_line, unquoted

_BASH = """\
# Completion of %(prog_name)s for bash. For this shell only:
#     source <(%(prog_name)s completion bash)
# For each one, write this into a file where bash-completion looks for it:
#     mkdir -p ~/.local/share/bash-completion/completions
#     %(prog_name)s completion bash >~/.local/share/bash-completion/completions/%(prog_name)s
# or, without bash-completion, put the first command into ~/.bashrc.

%(complete_func)s() {
    local answer line
    answer=$(env %(complete_var)s=bash_complete COMP_LINE="${COMP_LINE:0:COMP_POINT}" \\
        COMP_WORD="$2" "${1/#\\~/$HOME}" completion bash 2>/dev/null)
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            file*) compopt -o default 2>/dev/null ;;
            dir*) compopt -o dirnames 2>/dev/null ;;
            plain*=) compopt -o nospace 2>/dev/null; COMPREPLY+=("${line#plain,}") ;;
            plain*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done <<<"$answer"
}

# The first one needs bash 4.4.
complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null ||
    complete -o default -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
# Completion of %(prog_name)s for zsh. For this shell only, where compinit has run:
#     source <(%(prog_name)s completion zsh)
# For each one, write this into a folder of $fpath, before compinit runs:
#     mkdir -p ~/.zfunc
#     %(prog_name)s completion zsh >~/.zfunc/_%(prog_name)s
# with these lines in ~/.zshrc:
#     fpath+=(~/.zfunc)
#     autoload -Uz compinit && compinit

%(complete_func)s() {
    local -a answer values described assigned
    local line kind value help
    line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$IPREFIX$PREFIX"
    answer=("${(@f)$(env %(complete_var)s=zsh_complete COMP_LINE="$line" \\
        ${(Q)~words[1]} completion zsh 2>/dev/null)}")
    for kind value help in "${(@)answer}"; do
        case $kind in
            plain)
                if [[ $value == *= ]]; then
                    assigned+=("$value")
                elif [[ -n $help ]]; then
                    described+=("${${value//\\\\/\\\\\\\\}//:/\\\\:}:$help")
                else
                    values+=("$value")
                fi ;;
            file) compset -P '-*='; _files ;;
            dir) compset -P '-*='; _files -/ ;;
        esac
    done
    (( $#described )) && _describe -V value described
    (( $#values )) && compadd -V values -a values
    (( $#assigned )) && compadd -S '' -V assigned -a assigned
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
# Completion of %(prog_name)s for fish. For this shell only:
#     %(prog_name)s completion fish | source
# For each one:
#     mkdir -p ~/.config/fish/completions
#     %(prog_name)s completion fish >~/.config/fish/completions/%(prog_name)s.fish

function %(complete_func)s
    set -lx COMP_LINE (commandline -cp)
    set -lx %(complete_var)s fish_complete
    set -l words (string match --invert '*=*' -- (commandline -opc))
    set -l program (string replace -r '^~' ~ -- $words[1])
    for line in ($program completion fish 2>/dev/null)
        set -l parts (string split -m 2 \\t -- $line)
        switch $parts[1]
            case plain
                printf '%%s\\t%%s\\n' $parts[2] $parts[3]
            case file
                printf '%%s\\n' $parts[2](__fish_complete_path $parts[3])
            case dir
                printf '%%s\\n' $parts[2](__fish_complete_directories $parts[3])
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments '(%(complete_func)s)'
"""


class _Shell(ShellComplete):
    """Reads what was typed from the line up to the cursor, and completes whole words."""

    def source(self) -> str:
        """Return the script that makes the shell ask."""
        return self.source_template % self.source_vars()

    def complete(self) -> str:
        """Return a line, or several, for each word that fits."""
        typed = read_line(os.environ.get("COMP_LINE", ""))
        # Of `--model=qwen`, click completes what follows the sign; shells complete the word.
        name, sign, _ = typed.current.partition("=")
        self._prefix = name + sign if sign and name.startswith("-") else ""
        self._current, self._quote = typed.current, typed.quote
        found = self.get_completions(typed.words, typed.current)
        return "\n".join(map(self.format_completion, found))

    def whole(self, item: Item) -> str:
        """Return the whole word that *item* completes."""
        return self._prefix + item.value


class Bash(_Shell):
    """Bash replaces the end of a word only, from where readline sees a word begin."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH

    def format_completion(self, item: Item) -> str:
        """Return the line for *item*: the part that replaces what bash takes for the word."""
        if item.type != "plain":
            return item.type
        replaced = unquoted(os.environ.get("COMP_WORD", ""), self._quote)
        kept = len(self._current.removesuffix(replaced))
        return f"plain,{quoted(self.whole(item)[kept:], self._quote)}"


class Zsh(_Shell):
    """Zsh quotes by itself, and takes three lines a word."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = _ZSH

    def format_completion(self, item: Item) -> str:
        """Return the lines for *item*."""
        return f"{item.type}\n{self.whole(item)}\n{_one_line(item.help)}"


class Fish(_Shell):
    """Fish quotes by itself, and takes a line a word, with its help behind a tab."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = _FISH

    def format_completion(self, item: Item) -> str:
        """Return the line for *item*; of a path, what stands before it and how it begins."""
        if item.type != "plain":
            return "\t".join((item.type, self._prefix, self._current[len(self._prefix) :]))
        return "\t".join((item.type, self.whole(item), _one_line(item.help)))


SHELLS: dict[str, type[ShellComplete]] = {each.name: each for each in (Bash, Zsh, Fish)}


def _one_line(help_text: str | None) -> str:
    return " ".join((help_text or "").split())
