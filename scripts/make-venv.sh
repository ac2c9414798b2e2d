#!/bin/sh
# make-venv.sh VENV [PYTHON]: makes the virtual environment VENV with PYTHON, else with the first
# Python on PATH that is new enough and complete.
set -eu

venv=$1
shift
[ $# -gt 0 ] || set -- python3.13 python3.12 python3.11 python3

for python; do
    # A name on PATH may be a stand-in for a version that is not there: only running it tells.
    # Debian has venv without ensurepip: such a venv cannot be made.
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
        >/dev/null 2>&1; then
        "$python" -c 'import platform, sys; print("Python", platform.python_version(), "at", sys.executable)'
        exec "$python" -m venv "$venv"
    fi
done

echo "make: none of these is Python 3.11 or newer with its venv module: $*" >&2
echo "Install one (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install" >&2
echo "python@3.12), or name yours: make PYTHON=/path/to/python3" >&2
exit 1
