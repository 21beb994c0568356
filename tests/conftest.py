"""Shared by all rooms' tests: one thread, a small simulated set on disk, a second device."""

import contextlib
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from bayesdl_sim.DatasetGenerate import from_simulation
from bayesdl_sim.DatasetGenerate.outliers import ODDITIES, OUTLIERS
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.training import step1, step2
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Tests of whole programs come first: a long file that begins last keeps one core waiting."""
    items.sort(key=lambda item: item.path.parent != HERE)


@pytest.fixture(autouse=True, scope="session")
def _one_thread_from_the_start():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _process_as_before():
    """A program that a test has called sets threads and arithmetic of the whole process."""
    yield
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def _curves_where_they_are_looked_at(request, monkeypatch):
    """Trainings draw summary.png in tests marked `curves` alone; it takes longer than they do."""
    if not request.node.get_closest_marker("curves"):
        for step in (step1, step2):
            monkeypatch.setattr(step, "write_summary", lambda folder: None)


def save_random_members(folder, count=2, likelihood="gauss", guess=False):
    """Tiny random networks, whose maps mean nothing but go the whole way."""
    inputs = {"frames": None, "first_guess": guess}
    options = {"in_channels": 9 + 4 * guess, "width": 4, "levels": 2, "blocks": 1}
    config = network_config("unet", likelihood, inputs, **options)
    for index in range(1, count + 1):
        network = build_network(config, seed=index)
        if network.tail is not None:
            generator = torch.Generator().manual_seed(index)
            with torch.no_grad():
                network.tail.output.weight.normal_(generator=generator)
        payload = member_payload(network, {"kind": "sgld", "temperature": 2.0}, {})
        save_checkpoint(member_path(folder, index), payload)
    return folder


def simulated(root, sample, cells=6, levels=2):
    """A set on disk, 48 px, random microscopes."""
    size = ["--cells", str(cells), "--levels", str(levels), "--size", "48", "--workers", "1"]
    from_simulation.main(["--sample", sample, "--save_path", str(root), *size])
    return root


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """Six cells, two levels."""
    return simulated(tmp_path_factory.mktemp("set") / "F-actin", "F-actin")


@pytest.fixture(scope="session")
def outlier_set(tmp_path_factory):
    """One cell of each oddity, one level."""
    root = tmp_path_factory.mktemp("unlike") / OUTLIERS
    return simulated(root, OUTLIERS, cells=len(ODDITIES), levels=1)


# A second device without a GPU: its tensors say that they are on `meta`, hold their numbers on the
# CPU, and refuse to meet tensors of the CPU, as those of a GPU do.
OTHER_DEVICE = torch.device("meta")
SMALL = 64**2  # numbers; a table of so few may be made anywhere


class MixedDevices(AssertionError):
    """Tensors of two devices met in one operation."""


class _OnOther(torch.Tensor):
    """A tensor of the other device; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=OTHER_DEVICE,
        )
        made.held = held
        return made

    def tolist(self):
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _dispatch(function, args, kwargs or {})


class _OtherDevice(TorchDispatchMode):
    """Sees also the operations that make tensors or bring them to the other device.

    Attributes:
        left_behind: Fourier transforms and convolutions of images that were made on the CPU.
    """

    def __init__(self):
        super().__init__()
        self.left_behind = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        heavy = "fft" in name or "convolution" in name
        tensors = list(_tensors(args)) if heavy else []
        if heavy and not any(isinstance(x, _OnOther) for x in tensors):
            self.left_behind += [(name, tuple(x.shape)) for x in tensors if x.numel() > SMALL]
        return _dispatch(function, args, kwargs or {})


def _tensors(arguments):
    """Those of an operation, which come alone or in lists; torch's own walk takes twice as long."""
    for x in arguments:
        if isinstance(x, torch.Tensor):
            yield x
        elif isinstance(x, (list, tuple)):
            yield from _tensors(x)


def _dispatch(function, args, kwargs):
    tensors = [*_tensors(args), *_tensors(kwargs.values())]
    on_other = {id(x.held): x for x in tensors if isinstance(x, _OnOther)}
    # A number may come along from the CPU, as on a GPU; and copying between devices is allowed.
    strangers = [x for x in tensors if not isinstance(x, _OnOther) and x.ndim > 0]
    if on_other and strangers and function is not torch.ops.aten.copy_.default:
        raise MixedDevices(f"{function}: CPU tensors {[tuple(x.shape) for x in strangers]}")
    device, there = kwargs.get("device"), bool(on_other)
    if device is not None:
        there, kwargs = torch.device(device) == OTHER_DEVICE, {**kwargs, "device": "cpu"}
    elif function is torch.ops.aten.copy_.default:
        there = isinstance(args[0], _OnOther)

    def held(x):
        if isinstance(x, (list, tuple)):
            return type(x)(map(held, x))
        return x.held if isinstance(x, _OnOther) else x

    def returned(x):
        if not (there and isinstance(x, torch.Tensor)):
            return x
        # A wrapper cannot say that its numbers are still to be conjugated.
        return on_other[id(x)] if id(x) in on_other else _OnOther(x.resolve_conj().resolve_neg())

    result = function(*held(args), **{name: held(x) for name, x in kwargs.items()})
    return returned(result) if isinstance(result, torch.Tensor) else tree_map(returned, result)


def on_cpu(tree):
    """The same tree with every tensor on the CPU, where it can be stored."""
    return tree_map(lambda x: x.held if isinstance(x, _OnOther) else x, tree)


@pytest.fixture
def other_device(monkeypatch):
    """A device that is not the CPU: `device`, and `refusing()`, in which both may not mix.

    In `working()`, moreover, no Fourier transform and no convolution may be left to the CPU.
    """
    generator, autocast = torch.Generator, torch.autocast

    tensor = torch.tensor

    def made_and_moved(data, device="cpu", **options):
        return tensor(data, **options).to(device)  # dispatched, as the making itself is not

    monkeypatch.setattr(torch, "tensor", made_and_moved)

    class OnCpu:  # a class, since libraries use it in annotations
        def __new__(cls, device="cpu"):
            return generator("cpu")

    monkeypatch.setattr(torch, "Generator", OnCpu)
    monkeypatch.setattr(
        torch, "autocast", lambda kind, **options: autocast(kind.replace("meta", "cpu"), **options)
    )

    class Other:
        device, on_cpu = OTHER_DEVICE, staticmethod(on_cpu)

        @staticmethod
        @contextlib.contextmanager
        def refusing():
            with _OtherDevice():
                yield OTHER_DEVICE

        @staticmethod
        @contextlib.contextmanager
        def working():
            """`refusing()`, and at its end nothing that takes time was left to the CPU."""
            with _OtherDevice() as mode:
                yield OTHER_DEVICE
            if mode.left_behind:
                raise MixedDevices(f"computed on the CPU: {mode.left_behind}")

    return Other
