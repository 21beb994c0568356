"""`--chains`: one process per chain, and their members taken in turns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bayesdl_sim.commands import train
from bayesdl_sim.training.parallel import chains
from bayesdl_sim.training.parallel.chains import chain_names, collect_members, run_chains
from bayesdl_sim.utils.checkpoints import load_checkpoint, member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


class Forked:
    """A process with the face of `subprocess.Popen` that does not load PyTorch again."""

    def __init__(self, command, env, stdout, stderr):
        assert command[:3] == [sys.executable, "-m", "bayesdl_sim.commands.train"]
        assert env["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
        self.code, self.words = None, command[3:]
        self.number = os.fork()
        if self.number == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
            try:
                train.main(self.words)
            except BaseException as error:
                os.write(2, f"error: {error}\n".encode())
                os._exit(2)
            os._exit(0)

    def wait(self, timeout=None):
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])
        return self.code

    def terminate(self):
        if self.code is None:
            os.kill(self.number, 15)


def member(folder, number, tag):
    save_checkpoint(member_path(folder, number), {"tag": tag})


def tags(folder, count):
    return [load_checkpoint(member_path(folder, n))["tag"] for n in range(1, count + 1)]


def test_members_take_turns(tmp_path):
    folders = [tmp_path / f"a-chain{n}-SIM" for n in (1, 2, 3)]
    for chain, count in enumerate((2, 1, 2), start=1):
        for number in range(1, count + 1):
            member(folders[chain - 1], number, f"{chain}{number}")
    assert collect_members(folders, tmp_path / "a-SIM") == 5
    assert tags(tmp_path / "a-SIM", 5) == ["11", "21", "31", "12", "32"]
    record = json.loads((tmp_path / "a-SIM" / "chains.json").read_text())
    assert record["members"][:4] == [
        "a-chain1-SIM/member_01.pth",
        "a-chain2-SIM/member_01.pth",
        "a-chain3-SIM/member_01.pth",
        "a-chain1-SIM/member_02.pth",
    ]


def test_chains_are_runs_of_their_own_with_their_own_seeds(trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "Popen", Forked)
    more = ["--chains", "2", "--exp_name", "both", "--seed=7", "--epoch", "2", "--cycles", "1"]
    folder = trainer.step_1(tmp_path, *more).with_name("both-SIM")
    names = [f"{name}-SIM" for name in chain_names("both", 2)]
    seeds = []
    for number, name in enumerate(names, start=1):
        chain = member_path(folder.with_name(name), 1)
        assert member_path(folder, number).read_bytes() == chain.read_bytes()
        seeds.append(load_checkpoint(chain)["training"]["seed"])
    assert seeds == [7, 8]
    trainer.step_2(tmp_path, "--chains", "2", "--exp_name", "both", "--seed", "7", "--epoch", "1")
    payload = load_checkpoint(member_path(folder, 2))
    assert payload["network"]["likelihood"] == "gauss"
    assert payload["training"]["seed"] == 8


def test_a_chain_that_fails_ends_the_others(trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(chains, "Popen", Forked)
    words = trainer.words(tmp_path, "--chains", "2", "--patch_size", "4000")
    with pytest.raises(InputError, match="the chain BayesDL-chain[12]-SIM failed: .*4000 px"):
        train.main(words)


def test_a_folder_of_other_members_is_kept(trainer, tmp_path):
    settings = trainer.settings(tmp_path, "--chains", "2")
    member(settings.run.folder, 1, "mine")
    with pytest.raises(InputError, match="holds members of another run"):
        run_chains([], settings)
    assert tags(settings.run.folder, 1) == ["mine"]


def test_step_2_takes_the_members_of_each_chain(trainer, finished, tmp_path):
    settings = trainer.settings(tmp_path, "--chains", "2", "--pretrained_G", finished, step=2)
    with pytest.raises(InputError, match="step 2 takes the members of each chain"):
        run_chains([], settings)


def test_options_of_the_chains_are_taken_out():
    words = ["--chains", "4", "--epoch", "3", "--seed=7", "--exp_name", "a", "--resume"]
    rest = chains._without(words, ("--chains", "--exp_name", "--seed"))
    assert rest == ["--epoch", "3", "--resume"]


def test_the_module_of_a_chain_can_be_started():
    command = [sys.executable, "-m", "bayesdl_sim.commands.train", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--chains" in done.stdout
