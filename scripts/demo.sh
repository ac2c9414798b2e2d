#!/bin/sh
# demo.sh BIN: shows devsynthd at work, with the commands in the folder BIN and a small model.
#
# The daemon gets a socket, settings and a cache of its own, in a folder that is removed at the
# end: a daemon of yours is not touched, and nothing is left running.
set -eu

PATH=$(cd "$1" && pwd):$PATH
exec </dev/null # `generate` would wait for the end of a pipe on stdin

for name in $(awk 'BEGIN { for (name in ENVIRON) if (name ~ /^DEVSYNTH_/) print name }'); do
    unset "$name"
done
folder=$(mktemp -d)
export DEVSYNTH_CONFIG="$folder/config.toml"
export DEVSYNTH_SOCKET="ipc://$folder/devsynthd.sock"
export HOME="$folder" XDG_CACHE_HOME="$folder/cache" # macOS keeps caches under HOME

cat >"$DEVSYNTH_CONFIG" <<'END'
[llm]
provider = "embedded"
max_tokens = 80
temperature = 0
END

daemon=

# Waits until the daemon has ended, at most 15 s; fails if it has not.
daemon_ended() {
    tries=0
    while kill -0 "$daemon" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 75 ] || return 1
        sleep 0.2
    done
}

clean_up() {
    status=$?
    trap - EXIT
    trap '' HUP INT TERM
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || :
        daemon_ended || kill -9 "$daemon" 2>/dev/null || :
        wait "$daemon" 2>/dev/null || :
    fi
    if [ "$status" -ge 129 ]; then
        echo "demo: stopped, nothing is left running" >&2
    elif [ "$status" -ne 0 ]; then
        echo "demo: failed with status $status; the daemon's log:" >&2
        cat "$folder/log" >&2 || :
    fi
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a command line as a person would type it, and shows it.
show() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

echo "== Starting devsynthd with the embedded engine"
devsynthd >"$folder/log" 2>&1 &
daemon=$!
devsynthctl ping --wait 30 >/dev/null

show 'devsynthctl status'
show 'devsynthctl models'
show 'devsynthctl generate "In one sentence: what does a daemon do on Unix?"'
show 'echo "Hello! Who are you?" | devsynthctl generate'
show 'devsynthctl shutdown'

daemon_ended
ended=$daemon
daemon=
wait "$ended"
printf '\n== Done: the daemon has ended, nothing is left running\n'
