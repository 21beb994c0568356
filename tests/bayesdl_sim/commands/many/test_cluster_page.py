"""The SLURM script of docs/cluster.md: read, and run under a stand-in of sbatch."""

import csv
import os
import re
import shlex
import subprocess
import sys

import pytest
import tifffile

from bayesdl_sim.commands.testing.options import parse_args
from tests.bayesdl_sim.commands.many.conftest import ROOT, hashes

# As the real one: options of the command line win over those of the script, and every task of an
# array gets its number. The tasks run at the same time.
SBATCH = """#!{python}
import os, re, subprocess, sys
*options, script = sys.argv[1:]
text = open(script).read()
given = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.M))
given |= dict(option[2:].split("=") for option in options)
first, last = map(int, given["array"].split("-"))
shared = dict(SLURM_ARRAY_TASK_COUNT=str(last - first + 1),
              SLURM_CPUS_PER_TASK=given["cpus-per-task"])
tasks = [
    subprocess.Popen(["bash", script], env=os.environ | shared | dict(SLURM_ARRAY_TASK_ID=str(n)))
    for n in range(first, last + 1)
]
sys.exit(max([task.wait() for task in tasks]))
"""


@pytest.fixture(scope="module")
def script():
    """The script, as the page shows it."""
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```bash\n(#!/bin/bash\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return code


def test_the_script_requests_an_array_and_calls_test_with_valid_options(script):
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script, re.MULTILINE))
    assert options["array"] == "1-4"
    assert int(options["cpus-per-task"]) >= 1
    (command,) = re.findall(r"^srun python test\.py (.*?[^\\])$", script, re.MULTILINE | re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    values = {"$part": "2/4", "$SLURM_CPUS_PER_TASK": "2"}
    settings = parse_args([values.get(word, word) for word in words])
    assert (settings.shard.number, settings.shard.count) == (2, 4)
    assert settings.threads == 2


@pytest.mark.slow
def test_the_script_does_a_folder_in_parts(script, noisy, tmp_path, call):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (
        ("sbatch", SBATCH.replace("{python}", sys.executable)),
        ("srun", '#!/bin/sh\nexec "$@" --members 2 --precision fp32 --pixel_size_nm 65\n'),
        ("python", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    tifffile.imwrite(stacks / "movie.tif", noisy(17)[:, :32, :32], photometric="minisblack")
    tifffile.imwrite(stacks / "one.tif", noisy(1)[:, :32, :40])
    (tmp_path / "reconstruct.sbatch").write_text(script)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "DATA": str(stacks),
        "RESULTS": str(tmp_path / "out"),
    }
    command = ["sbatch", "--array=1-2", "--cpus-per-task=1", str(tmp_path / "reconstruct.sbatch")]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out" / "summary.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["stack"], row["state"]) for row in rows] == [("movie", "done"), ("one", "done")]
    assert done.stdout.count("verdict: ") == 2
    shipped = ROOT / "checkpoint/F-actin/pretrained_G"
    call(stacks, tmp_path / "alone", "--pretrained_G", shipped, "--members", "2")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "alone")
