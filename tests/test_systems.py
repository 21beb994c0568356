"""What can be checked here of systems that are not here: Windows, macOS, other Pythons."""

import re
import subprocess
import tomllib
from pathlib import Path, PureWindowsPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
LONGEST = 120  # characters; Windows takes 260 in all, of which a user's folder has its share


def versions():
    """Versions of Python that the package says it runs on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    return ["3.11", "3.12", "3.13", "3.14"]


def tracked():
    """Files of the repository; of an archive without git, all but what programs leave there."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git")
    return done.stdout.splitlines()


def test_windows_can_hold_every_file():
    names = tracked()
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        path = PureWindowsPath(name)
        assert len(name) <= LONGEST, name
        for part in path.parts:
            assert not re.search(r'[<>:"|?*\\]', part), name
            assert not part.endswith((" ", ".")), name
            stem = part.split(".")[0].upper()
            assert not re.fullmatch(r"CON|PRN|AUX|NUL|COM\d|LPT\d", stem), name


def test_line_ends_are_those_of_the_shell_that_reads_them():
    attributes = (ROOT / ".gitattributes").read_text(encoding="utf-8")
    assert "* text=auto eol=lf" in attributes
    assert "*.bat text eol=crlf" in attributes
    for path in [*ROOT.glob("*.sh"), *ROOT.glob("*/*.sh"), ROOT / ".ci" / "run"]:
        assert b"\r" not in path.read_bytes(), path
    lines = (ROOT / "setup.bat").read_bytes().split(b"\n")[:-1]
    assert all(line.endswith(b"\r") for line in lines)


def test_set_up_for_cmd_looks_for_the_same_pythons_as_that_for_sh():
    cmd = (ROOT / "setup.bat").read_text(encoding="ascii")
    shell = (ROOT / "setup.sh").read_text(encoding="utf-8")
    assert sorted(re.search(r"in \(([\d. ]+)\)", cmd)[1].split()) == versions()
    named = re.findall(r"python(3\.\d+)", re.search(r"for name in (.*);", shell)[1])
    assert sorted(named) == versions()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 14)" in cmd
    assert "(3, 11) <= sys.version_info[:2] <= (3, 14)" in shell


def test_set_up_for_cmd_keeps_to_what_cmd_knows():
    text = (ROOT / "setup.bat").read_text(encoding="ascii")
    labels = set(re.findall(r"^:(\w+)", text, re.MULTILINE))
    assert set(re.findall(r"goto :?(\w+)", text)) <= labels
    opened = re.sub(r'"[^"\n]*"', "", text)  # brackets in quotes are no blocks
    opened = "\n".join(x for x in opened.splitlines() if not re.match(r" *(rem|echo)\b", x))
    assert opened.count("(") == opened.count(")")
    assert "delayed" not in text.lower()
    assert "!" not in text


def test_the_workflow_runs_the_same_tests_everywhere():
    text = WORKFLOW.read_text(encoding="utf-8")
    (tested,) = re.findall(r"python: \[(.*)\]", text)
    assert [word.strip('" ') for word in tested.split(",")] == versions()
    (systems,) = re.findall(r"os: \[(.*)\]", text)
    names = {name.split("-")[0] for name in systems.replace(" ", "").split(",")}
    assert names == {"ubuntu", "windows", "macos"}
    assert "bash .ci/run" in text
    assert "setup.bat requirements-test.txt" in text
    assert "-m pytest" in text
    assert (ROOT / "requirements-test.txt").is_file()


def test_text_files_are_opened_with_a_stated_encoding():
    """Windows would take its own; `Path.read_text()` of a German umlaut would fail there."""
    careless = []
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("tests", "runs", "build") or parts[0].startswith("."):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(r"\.(read_text|write_text)\((?!.*encoding)[^()]*\)", line):
                careless.append(f"{'/'.join(parts)}:{number}")
    assert careless == []
