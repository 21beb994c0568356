"""Two replicas with gloo: they share every step, stay equal to the bit, and go on after a kill."""

import multiprocessing
import os
import shutil
import socket
import traceback

import pytest
import torch
import torch.distributed as dist

from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.commands import train
from bayesdl_sim.training import objective, step1
from bayesdl_sim.training.networks import initial_network
from bayesdl_sim.training.objective import energy_gradient
from bayesdl_sim.training.parallel.replicas import (
    average_gradients,
    average_value,
    main_process_first,
    place,
    replicated,
    require_shares,
)
from bayesdl_sim.training.run import open_run
from bayesdl_sim.utils.checkpoints import load_checkpoint, member_path
from bayesdl_sim.utils.errors import InputError

KILLED = 9


def in_replicas(task, *args, count=2):
    """Runs `task(*args)` in processes that torchrun could have started; returns their exit codes.

    They are forked, since loading PyTorch again would take most of the time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(number):
        os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(count)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        try:
            task(*args)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
        process.kill()
    return [process.exitcode for process in processes]


def states(folder, count=2):
    """The weights of the members of a run."""
    return [load_checkpoint(member_path(folder, n))["state"] for n in range(1, count + 1)]


def largest_gap(ours, theirs):
    return max(
        float((a[name] - b[name]).abs().max())
        for a, b in zip(ours, theirs, strict=True)
        for name in a
    )


def test_alone_there_is_nothing_to_share():
    assert place() == (0, 1)
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.arange(3.0)
    average_gradients([weight])
    assert weight.grad.tolist() == [0, 1, 2]
    assert average_value(torch.tensor(2.0)).item() == 2
    with main_process_first():
        pass


def test_shares_of_a_batch_are_the_batch(trainer, tmp_path):
    run = open_run(trainer.settings(tmp_path), "step 1", [])
    whole = next(run.batches(run.train, 3))
    shares = [next(run.batches(run.train, 3, share=(n, 2))) for n in range(2)]
    for name in ("raw", "target"):
        joined = torch.stack([getattr(share, name) for share in shares], dim=1)
        assert torch.equal(joined.flatten(0, 1), getattr(whole, name))
    with pytest.raises(InputError, match="cannot be shared by 3 processes"):
        run.batches(run.train, 0, share=(0, 3))


def _one_step_and_a_hundred(settings, folder):
    """Leaves the gradient of the first step and the weights after 100 steps of SGLD in a file."""
    number = int(os.environ.get("RANK", "0"))
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    run = open_run(settings, "step 1", [])
    network = initial_network(run)
    parameters = list(network.trunk.parameters())
    noise = torch.Generator().manual_seed(run.seed)
    sgld = SGLD(parameters, 1e-4, run.train.pixels, 1.0, 1.0, precondition=True, generator=noise)
    first, steps = None, 0
    for epoch in range(200):
        for patches in run.batches(run.train, epoch):
            energy = energy_gradient(run, network, patches, None, "a test")
            if first is None:
                first = [p.grad.clone() for p in parameters], energy
                if "WORLD_SIZE" not in os.environ:
                    break
            sgld.step()
            steps += 1
            if steps == 50:
                sgld.freeze_preconditioner()
        if steps >= 100 or "WORLD_SIZE" not in os.environ:
            break
    torch.save({"first": first, "last": [p.detach() for p in parameters]}, folder / f"{number}.pt")
    if dist.is_initialized():
        dist.destroy_process_group()


def test_a_step_is_that_of_the_whole_batch_and_replicas_stay_equal(trainer, tmp_path):
    settings = trainer.settings(tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    _one_step_and_a_hundred(settings, alone)
    assert in_replicas(_one_step_and_a_hundred, settings, tmp_path) == [0, 0]
    one = torch.load(alone / "0.pt")
    first, second = (torch.load(tmp_path / f"{n}.pt") for n in range(2))
    scale = max(float(g.abs().max()) for g in one["first"][0])
    gaps = [(a - b).abs().max() for a, b in zip(one["first"][0], first["first"][0], strict=True)]
    assert float(max(gaps)) < 1e-6 * max(scale, 1)
    assert first["first"][1] == pytest.approx(one["first"][1], abs=1e-6)
    assert first["first"][1] == second["first"][1]
    for a, b, begun in zip(first["last"], second["last"], one["last"], strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, begun)


def _killed_in_step(trainer, folder, number):
    """Every process dies in the middle of that step, counted from 1."""
    gradient, taken = objective.energy_gradient, []

    def one_more(*args):
        taken.append(1)
        if len(taken) == number:
            os._exit(KILLED)
        return gradient(*args)

    step1.energy_gradient = one_more
    trainer.step_1(folder)


@pytest.fixture(scope="module")
def replicated_run(trainer, tmp_path_factory):
    """Folder of both steps with two replicas."""
    folder = tmp_path_factory.mktemp("replicated")
    assert in_replicas(trainer.step_1, folder) == [0, 0]
    assert in_replicas(trainer.step_2, folder) == [0, 0]
    return folder / "F-actin" / "BayesDL-SIM"


def test_two_processes_give_the_members_of_one(replicated_run, finished):
    """Up to rounding, which some tens of steps make larger."""
    assert largest_gap(states(replicated_run), states(finished)) < 1e-4
    assert (replicated_run / "step1.csv").is_file()


def test_killed_and_resumed_they_give_the_same(replicated_run, trainer, tmp_path):
    settings = trainer.settings(tmp_path)
    steps = open_run(settings, "step 1", []).steps_per_epoch
    codes = in_replicas(_killed_in_step, trainer, tmp_path, steps + 2)  # in the second epoch
    assert codes == [KILLED, KILLED]
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "F-actin", other / "F-actin")
    assert in_replicas(trainer.step_1, tmp_path, "--resume") == [0, 0]
    ours = states(tmp_path / "F-actin" / "BayesDL-SIM")
    theirs = states(replicated_run)  # step 2 has left their trunks alone
    assert all(
        torch.equal(a[name], b[name]) for a, b in zip(ours, theirs, strict=True) for name in a
    )
    trainer.step_1(other, "--resume")  # by a single process
    assert largest_gap(states(other / "F-actin" / "BayesDL-SIM"), ours) < 1e-4


def _refused(settings, message):
    with pytest.raises(InputError, match=message), replicated(settings):
        pass


def test_a_folder_in_use_is_refused_by_all(trainer, finished):
    settings = trainer.settings(finished.parents[1])
    message = "in use by"
    with replicated(settings):
        assert in_replicas(_refused, settings, message) == [0, 0]


def test_a_batch_that_cannot_be_shared_is_refused(trainer, tmp_path):
    settings = trainer.settings(tmp_path, "--batch_size", "3")
    message = "batch_size: expected a multiple of the 2 processes"
    assert in_replicas(_refused, settings, message) == [0, 0]
    require_shares(settings)  # alone, any batch will do


def test_the_command_needs_nothing_new(trainer, tmp_path, monkeypatch):
    """Run without torchrun, train.py owns its folder as usual."""
    monkeypatch.setenv("WORLD_SIZE", "1")
    settings = train.parse_args(trainer.words(tmp_path))
    with replicated(settings) as replica_settings:
        assert replica_settings is settings
