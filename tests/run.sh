#!/bin/sh
# Checks the style and runs the tests; sets up what is missing before.
#
#     sh tests/run.sh                        # everything
#     sh tests/run.sh tests/bayes -k sgld    # arguments go on to pytest
#
# Everything runs in one process per core, at most four; with arguments in one, unless they hold -n.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$(sh "$root/setup.sh" requirements-test.txt)
cd -- "$root"
# Many tests start a program: its compiled modules are stored, as they are for a person.
unset PYTHONDONTWRITEBYTECODE

# A fault of style must not hide whether the tests pass: all three run, the first failure counts.
[ "$#" -gt 0 ] || set -- -n auto --maxprocesses 4 --dist loadfile
status=0
"$python" -m ruff check . || status=$?
"$python" -m ruff format --check . || { code=$?; [ "$status" -ne 0 ] || status=$code; }
"$python" -m pytest "$@" || { code=$?; [ "$status" -ne 0 ] || status=$code; }
exit "$status"
