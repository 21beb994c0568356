#!/bin/sh
# Makes sure that there is a Python with everything the project needs, and prints its path.
#
#     python=$(sh setup.sh requirements.txt)
#
# demo.sh and tests/run.sh call it. It reports on stderr; stdout is the path alone.
# It takes, in this order:
#   1. the interpreter in BAYESDL_PYTHON, if that variable is set;
#   2. the active virtual or conda environment, if it has everything (say, with the PyTorch of your
#      GPU). Nothing is ever installed in these two;
#   3. .venv beside this file, made from Python 3.11 to 3.14 when missing. The packages are
#      installed when the requirements file has changed since the last time, else left alone.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
requirements=${1:-requirements.txt}
venv=$root/.venv

# Imported by name, since a package's name and its module's differ. torchvision is left out: its
# wheel does not import beside every build of PyTorch, and only what needs it imports it.
modules="torch numpy scipy tifffile imageio skimage natsort matplotlib PIL cv2 mrcfile tqdm filelock tensorboard"
test_modules="pytest xdist hypothesis ruff setuptools posteriors scoringrules uncertainty_toolbox torchmetrics material mkdocstrings_handlers onnx onnxruntime onnxscript bioimageio.spec pydantic zarr dask distributed"

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "error: $*"
    exit 2
}

# Succeeds if that interpreter has all modules; else prints what it lacks, or why one fails to load.
lacking_in() {
    case $requirements in
        *test*) extra=$test_modules ;;
        *) extra= ;;
    esac
    if [ ! -x "$1" ]; then
        echo "everything: there is no such program"
        return 1
    fi
    "$1" -c '
import importlib, importlib.util, sys
needed, found_only = sys.argv[1].split(), sys.argv[2].split()
problems = [] if sys.version_info >= (3, 11) else ["Python 3.11 or newer"]
problems += [name for name in found_only if importlib.util.find_spec(name) is None]
for name in needed:
    try:
        importlib.import_module(name)
    except Exception as error:
        problems.append(name if isinstance(error, ModuleNotFoundError) else f"{name} ({error})")
print(", ".join(problems))
sys.exit(bool(problems))
' "$modules" "$extra" 2>/dev/null
}

# Python 3.11 to 3.14 that can make virtual environments (Debian packages that part separately).
suitable() {
    "$1" -c '
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(1)
import ensurepip, venv
' >/dev/null 2>&1
}

find_python() {
    for name in python3.12 python3.11 python3.13 python3.14 python3 python; do
        if suitable "$name"; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 to 3.14 with venv found (looked for python3.11 to python3.14, python3):" \
        "install one (on Debian and Ubuntu: python3-venv too), or set BAYESDL_PYTHON to an" \
        "interpreter that has the packages of $requirements"
}

# The callers change their folder, so that a relative path would lead elsewhere.
absolute() {
    printf '%s/%s\n' "$(cd -- "$(dirname -- "$1")" && pwd)" "$(basename -- "$1")"
}

# Checksum of the requirements file and of what it includes, so that a change of either is seen.
checksum() {
    (cd -- "$root" && cat requirements.txt "$1" | cksum)
}

stamp() {
    printf '%s\n' "$venv/.installed-$1"
}

[ -f "$root/$requirements" ] || fail "no file $requirements in $root"

# 1. Named by the user; a name without a slash is looked up in PATH.
if [ -n "${BAYESDL_PYTHON:-}" ]; then
    case $BAYESDL_PYTHON in
        */*) [ ! -x "$BAYESDL_PYTHON" ] || BAYESDL_PYTHON=$(absolute "$BAYESDL_PYTHON") ;;
        *) BAYESDL_PYTHON=$(command -v -- "$BAYESDL_PYTHON" || printf '%s\n' "$BAYESDL_PYTHON") ;;
    esac
    if ! problems=$(lacking_in "$BAYESDL_PYTHON"); then
        fail "BAYESDL_PYTHON is $BAYESDL_PYTHON, which lacks ${problems:-a working Python}." \
            "Install the packages of $requirements there, or unset BAYESDL_PYTHON to have .venv made"
    fi
    say "Python: $BAYESDL_PYTHON (BAYESDL_PYTHON)"
    printf '%s\n' "$BAYESDL_PYTHON"
    exit 0
fi

# 2. Active environment, unless it is our own .venv, which goes the ordinary way.
active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
if [ -n "$active" ] && [ -x "$active/bin/python" ] &&
    [ "$(cd -- "$active" && pwd -P)" != "$(cd -- "$root" && pwd -P)/.venv" ]; then
    if problems=$(lacking_in "$active/bin/python"); then
        say "Python: $active/bin/python (the active environment)"
        printf '%s\n' "$active/bin/python"
        exit 0
    fi
    say "The active environment $active lacks ${problems:-a working Python}; using .venv instead."
fi

# 3. Our own .venv. The mark .unfinished stands while packages are copied: an interrupted set-up
#    starts again, since pip takes a half-copied package for an installed one.
unfinished=$venv/.unfinished
if [ -e "$unfinished" ] || ! suitable "$venv/bin/python" ||
    ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
    python=$(find_python)
    [ ! -e "$venv" ] || say "$venv is incomplete (a set-up was interrupted): making it again."
    say "Making the virtual environment .venv with $python ..."
    "$python" -m venv --clear --without-pip "$venv" >&2
    : >"$unfinished"
    "$venv/bin/python" -m ensurepip >&2
fi

if [ -e "$unfinished" ] ||
    [ "$(cat "$(stamp "$requirements")" 2>/dev/null)" != "$(checksum "$requirements")" ]; then
    say "Installing the packages of $requirements into .venv (once; this takes some minutes) ..."
    : >"$unfinished"
    "$venv/bin/python" -m pip install --disable-pip-version-check -r "$root/$requirements" >&2 ||
        fail "pip could not install the packages of $requirements (its reason is above):" \
            "check the network and the disk, then run this again"
    # The packages for the tests include those of requirements.txt.
    checksum requirements.txt >"$(stamp requirements.txt)"
    checksum "$requirements" >"$(stamp "$requirements")"
    rm -f "$unfinished"
    say "The packages are installed."
fi
printf '%s\n' "$venv/bin/python"
