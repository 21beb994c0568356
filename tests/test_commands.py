"""Every command that the documents and scripts show: its files exist and its flags are known.

Commands are read from the code blocks of README.md and other documents, from the shell scripts and
from the docstrings of the programs. They are parsed, not run.
"""

import ast
import importlib
import re
import runpy
import shlex
from functools import cache
from pathlib import Path

import pytest

from bayesdl_sim.commands.bayesdl import VERBS
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
ROOMS_WITH_PROGRAMS = ("DatasetGenerate", "benchmarks", "figures", "dlbi")
FENCE = re.compile(r"^ *(```+|~~~+)")
STARTS = re.compile(r'^\$? *("?\$python"?|\.venv/bin/python|python3?|sh|bash|bayesdl) ')


def code_lines(text):
    """The lines of a Markdown text that are code: fenced, or indented by four spaces."""
    fence = None
    for line in text.splitlines():
        mark = FENCE.match(line)
        if mark and (fence is None or mark[1] == fence):
            fence = mark[1] if fence is None else None
        elif fence is not None or line.startswith("    "):
            yield line


def commands(lines):
    """Joins continued lines and yields those that start a program, as word lists."""
    joined, whole = "", []
    for line in lines:
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        whole.append(joined)
        joined = ""
    for line in whole:
        if STARTS.match(line):
            words = shlex.split(line.removeprefix("$").lstrip(), comments=True)
            yield [word for word in words if word != "$@"]


def shell_lines(text):
    """The lines of a shell script, with its own variables written out and 1 for its arguments."""
    text = re.sub(r"\$\{?\d[^}\s\"]*(\"[^\"]*\"\}|\}|)", "1", text)
    values = dict(re.findall(r"^ *(\w+)=\"?([^\"$(\n][^\"\n(]*)\"?$", text, re.MULTILINE))
    for _ in values:  # a variable may hold others
        text = re.sub(r"\$(\w+)", lambda match: values.get(match[1], match[0]), text)
    return text.splitlines()


def documents():
    """(name, lines) of everything that shows commands to people or to the shell."""
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/**/*.md"),
            *ROOT.glob("data/*/*.md"),
            *ROOT.glob("*/README.md"),
        ]
    ):
        yield path, list(code_lines(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / ".github").rglob("*.md")):
        yield path, list(code_lines(path.read_text(encoding="utf-8")))
    for path in [*sorted(ROOT.glob("*.sh")), *sorted(ROOT.glob("*/*.sh")), ROOT / ".ci" / "run"]:
        yield path, shell_lines(path.read_text(encoding="utf-8"))
    programs = [*ROOT.glob("*.py")]
    programs += [path for room in ROOMS_WITH_PROGRAMS for path in (ROOT / room).glob("*.py")]
    for path in sorted(programs):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        yield path, text.splitlines()
    for path in sorted((ROOT / "checkpoint").rglob("*.sh")):
        yield path, shell_lines(path.read_text(encoding="utf-8"))


def shown():
    """(document, words) of every command, each once per document."""
    for path, lines in documents():
        listed = set()
        for words in commands(lines):
            if tuple(words) not in listed:
                listed.add(tuple(words))
                name = f"{path.relative_to(ROOT)}: {' '.join(words)[:60]}"
                yield pytest.param(words, id=name)


@cache
def parser_of(program):
    """`parse_args` of a script, or of a module run by `python -m`."""
    if program.endswith(".py"):
        # By path: `import test` would find the standard library's.
        return runpy.run_path(str(ROOT / program))["parse_args"]
    module = f"bayesdl_sim.{program}"
    if (ROOT / module.replace(".", "/") / "__main__.py").is_file():
        module += ".__main__"
    return importlib.import_module(module).parse_args


def module_of(verb):
    """The module behind `bayesdl VERB`, with its whole name."""
    if verb in ("-h", "--help"):
        verb = "doctor"
    assert verb in VERBS, f"no verb {verb}"
    return f"bayesdl_sim.{VERBS[verb][0]}"


def check(words):
    """Fails if the command names a file that is not there or a flag that is not known."""
    interpreter, *rest = words
    if interpreter in ("sh", "bash"):
        script = rest[0].removeprefix("$root/")
        assert (ROOT / script).is_file(), f"no script {script}"
        return
    if interpreter == "bayesdl":
        rest = ["-m", "bayesdl_sim", *rest]
    if rest[0] == "-m":
        program, options = rest[1], rest[2:]
        if program == "bayesdl_sim":
            program, options = module_of(options[0]), options[1:]
        if program == "pip":
            for flag, value in zip(options, options[1:], strict=False):
                if flag == "-r":
                    assert (ROOT / value.removeprefix("$root/")).is_file(), f"no file {value}"
        if program.startswith("bayesdl_sim."):
            program = program.removeprefix("bayesdl_sim.")
        elif program.split(".")[0] not in ROOMS_WITH_PROGRAMS:
            return
    elif rest[0].endswith(".py"):
        program, options = rest[0], rest[1:]
        assert (ROOT / program).is_file(), f"no script {program}"
    else:
        return
    if "--help" in options or "-h" in options:
        return
    try:
        parser_of(program)(options)
    except SystemExit:
        pytest.fail(f"{program} does not accept: {' '.join(options)}")
    except InputError as error:
        pytest.fail(f"{program} refuses {' '.join(options)}: {error}")


@pytest.mark.parametrize("words", list(shown()))
def test_command_is_accepted(words):
    check(words)


def test_the_readme_shows_the_whole_way():
    text = "\n".join(" ".join(words) for words in commands(code_lines(README.read_text("utf-8"))))
    steps = (
        "sh demo.sh",
        "sh tests/run.sh",
        "python -m DatasetGenerate.from_simulation",
        "python train.py --model BayesDL --train_type",
        "--train_type uncertainty_tail",
        "python test.py --test_data",
    )
    assert [step for step in steps if step not in text] == []


def test_the_readme_stays_short():
    assert len(README.read_text("utf-8").splitlines()) <= 200


def test_the_commands_of_the_original_readme_are_accepted():
    check(shlex.split("python train.py --model BayesDL --train_type '' --likehood '' --SGLD True"))
    check(
        shlex.split(
            "python train.py --model BayesDL --train_type uncertainty_tail --likehood 'gauss' "
            "--SGLD False --epoch 300"
        )
    )


def test_ci_runs_what_the_readme_says():
    assert "sh tests/run.sh" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_set_up_asks_for_what_is_required():
    # setup.sh lists module names, since a package's name and its module's differ.
    renamed = {"scikit-image": "skimage", "opencv-python-headless": "cv2"}
    renamed |= {"pytest-xdist": "xdist", "pillow": "PIL"}
    renamed |= {"mkdocs-material": "material", "mkdocstrings-python": "mkdocstrings_handlers"}
    text = (ROOT / "setup.sh").read_text(encoding="utf-8")
    for name, file in (("modules", "requirements.txt"), ("test_modules", "requirements-test.txt")):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        packages = [line.split("==")[0] for line in lines if line and line[0] not in "#-"]
        required = {renamed.get(p, p).replace("-", "_") for p in packages} - {"torchvision"}
        listed = re.search(rf'^{name}="([^"]*)"', text, re.MULTILINE)[1].split()
        assert set(listed) == required
        assert len(packages) == sum("==" in line for line in lines), f"{file}: exact pins only"


@pytest.mark.parametrize(
    "line",
    [
        "python train.py --no_such_flag 1",
        "python no_such_script.py",
        "python -m DatasetGenerate.from_simulation --cells 12",
        "python train.py --SGLD perhaps",
        "sh no_such.sh",
        "python -m pip install -r no_such.txt",
        "python -m bayesdl_sim paint",
        "bayesdl test --test_data raw.tif",
        "bayesdl export --save_path DIR --formats paper",
    ],
)
def test_a_wrong_command_is_noticed(line):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(shlex.split(line))


def test_variables_of_scripts_are_written_out():
    text = 'work=${1:?"a folder"}\ncommon="--to $work"\npython a.py $common --seed "$2" "$@"'
    assert list(commands(shell_lines(text))) == [["python", "a.py", "--to", "1", "--seed", "1"]]


def test_commands_are_found_where_people_write_them():
    text = 'Text\n\n```sh\n$ python a.py \\\n  --x 1  # why\n```\n    sh b.sh "$@"\nsh not code\n'
    assert list(commands(code_lines(text))) == [
        ["python", "a.py", "--x", "1"],
        ["sh", "b.sh"],
    ]
