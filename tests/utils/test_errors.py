"""Every mistake of a user ends in one line and exit code 2; a fault of the program does not."""

import argparse
import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bayesdl_sim.utils.errors import (
    InputError,
    printable,
    require_file,
    require_folder,
    run_script,
    strict_bool,
    writable_folder,
)

ROOT = Path(__file__).resolve().parents[2]


def run(body: str) -> subprocess.CompletedProcess:
    script = f"from bayesdl_sim.utils.errors import *\ndef main():\n    {body}\nrun_script(main)"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def fails_with(error: BaseException, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stopped:
        run_script(main)
    return stopped.value.code, capsys.readouterr().err


def test_input_error_is_one_line_and_exit_code_2():
    result = run("raise InputError('expected 9 frames,\\n found 8 in a.tif')")
    assert result.returncode == 2
    assert result.stderr == "error: expected 9 frames, found 8 in a.tif\n"


def test_a_fault_of_the_program_keeps_its_traceback():
    result = run("1 / 0")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_success_and_chosen_exit_codes_pass_through():
    assert run("pass").returncode == 0
    assert run("raise SystemExit(3)").returncode == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_named():
    result = run("open('/dev/full', 'w').write('x' * 100000)")
    assert result.returncode == 2
    assert result.stderr.startswith("error: disk full")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "a/b.tif"), "permission denied (a/b.tif)"),
        (OSError(30, "Read-only file system", "a/b.tif"), "permission denied (a/b.tif)"),
        (FileExistsError(17, "File exists", "a.tif"), "exists already (a.tif): choose another"),
        (FileNotFoundError(2, "No such file or directory", "c.tif"), "(c.tif)"),
        (FileNotFoundError("no reader of a.bin"), "error: no reader of a.bin: check the path"),
        (OSError("1024 requested and 0 written"), "disk full"),
        (
            OSError(errno.EFBIG, "File too large", "a.tif"),
            "your limit allows (a.tif): choose another",
        ),
        (
            OSError(errno.EIO, "Input/output error"),
            "the drive does not answer (Input/output error)",
        ),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "not enough memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "not enough memory"),
    ],
)
def test_errors_of_the_machine_are_put_in_plain_words(error, words, capsys):
    code, text = fails_with(error, capsys)
    assert code == 2
    assert text.startswith("error: ")
    assert words in text
    assert text.count("\n") == 1


def test_interruption_ends_with_130(capsys):
    assert fails_with(KeyboardInterrupt(), capsys) == (130, "interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a signal")
def test_sigterm_ends_with_143_after_what_was_begun_is_put_away(tmp_path):
    note = tmp_path / "away"
    body = f"""import os, pathlib, signal
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except Exception:
        print("caught")
    finally:
        pathlib.Path({str(note)!r}).touch()
    print("went on")"""
    done = run(body)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "terminated\n")
    assert note.exists()


def test_sigterm_is_again_what_it_was_after_a_script():
    before = signal.getsignal(signal.SIGTERM)
    run_script(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_errors_are_not_swallowed():
    def main() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_script(main)


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("false", False), ("TRUE", True), ("False", False)]
)
def test_strict_bool_reads_what_is_written(text, value):
    assert strict_bool(text) is value


@pytest.mark.parametrize("text", ["", "1", "0", "yes", "T", "none"])
def test_strict_bool_refuses_everything_else(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected True or False"):
        strict_bool(text)


def test_require_file_and_folder_name_what_is_missing(tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"x")
    assert require_file(str(file), "raw stack") == file
    assert require_folder(str(tmp_path), "data set") == tmp_path
    with pytest.raises(InputError, match=r"raw stack: no file .*b\.tif; the path is right up to"):
        require_file(tmp_path / "nowhere" / "b.tif", "raw stack")
    with pytest.raises(InputError, match="raw stack: expected a file, found the folder"):
        require_file(tmp_path, "raw stack")
    with pytest.raises(InputError, match="data set: no folder"):
        require_folder(tmp_path / "nowhere", "data set")
    with pytest.raises(InputError, match="data set: expected a folder, found the file"):
        require_folder(file, "data set")


def test_writable_folder_makes_parents_and_leaves_nothing_behind(tmp_path):
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert not list(folder.iterdir())
    assert writable_folder(folder) == folder


def test_writable_folder_refuses_a_file_and_what_lies_below_one(tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"x")
    with pytest.raises(InputError, match="expected a folder, found the file"):
        writable_folder(file)
    with pytest.raises(InputError, match="cannot write in the folder"):
        writable_folder(file / "below")
    assert file.read_bytes() == b"x"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that refuses even root")
def test_writable_folder_refuses_a_folder_that_cannot_be_written():
    with pytest.raises(InputError, match="cannot write in the folder /proc"):
        writable_folder("/proc/self")


def test_control_characters_of_file_names_are_written_out(capsys):
    def main():
        raise InputError("bad\x1b[2Jname\x07\u202e.tif is damaged\nand on another line")

    with pytest.raises(SystemExit):
        run_script(main)
    printed = capsys.readouterr().err
    assert r"bad\x1b[2Jname\x07\u202e.tif is damaged and on another line" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize("plain", ["cell 3.tif", "F\u00e4den_\u03b2\u6d4b.tif", "two\nlines\t"])
def test_what_can_be_printed_is_left_alone(plain):
    assert printable(plain) == plain


def test_a_name_that_is_no_text_can_be_printed():
    assert (
        printable(b"raw\xff.tif".decode("utf-8", "surrogateescape")).encode() == rb"raw\udcff.tif"
    )
