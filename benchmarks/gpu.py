"""Throughput on a GPU, in one run of at most eight minutes.

    python -m benchmarks.gpu --save_path runs/gpu

Inference: a field of 9 x 502 x 502 through the members, networks alone, in fp32 and bf16: one by
one, as `test.py` runs them; all at once by `torch.func.vmap` over their stacked weights; as a CUDA
graph that is captured once and replayed; and compiled. Each way has to give the maps of the first
(the largest difference is in the table). Training: patches per second of step 1 (forward, energy,
backward, Adam) for several batches. `share of the peak` is the arithmetic of the convolutions over
what the card can do by its data sheet, where `--peak_tflops` is given.

A way that fails, or for which no time is left, is named with its reason.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bayesdl_sim.bayes.energy import reconstruction_energy
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.models.bayesdl import BayesDL
from bayesdl_sim.models.members import open_member
from bayesdl_sim.utils.checkpoints import list_members
from bayesdl_sim.utils.devices import autocast, choose_device, exact_arithmetic
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "multiplications", "parse_args"]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
WARM_UP, REPEATS = 2, 10
WEIGHTS = (1.0, 0.01, 0.1)  # of the energy of step 1


class Clock:
    """Seconds per call on a device, and how much of the run's time is left."""

    def __init__(self, device: torch.device, minutes: float) -> None:
        self.device, self.end = device, time.monotonic() + 60 * minutes

    def left(self) -> float:
        """Seconds until the run should be over."""
        return self.end - time.monotonic()

    def seconds(self, call: Callable[[], Any], repeats: int = REPEATS) -> float:
        """Mean seconds of a call, without its warm-up."""
        for _ in range(WARM_UP):
            call()
        self._wait()
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        self._wait()
        return (time.perf_counter() - began) / repeats

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def multiplications(network: nn.Module, inputs: Tensor) -> float:
    """Multiplications and additions of the convolutions of one forward pass, counted as it runs."""
    counted = [0.0]

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        kernel = layer.weight.shape[1:].numel()  # input channels times taps
        counted[0] += 2.0 * output.numel() * kernel

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return counted[0]


def one_by_one(networks: list[BayesDL], inputs: Tensor) -> Callable[[], Tensor]:
    """The members after each other: (K, 1, 2H, 2W) of their means."""
    return lambda: torch.stack([network(inputs).mean[0] for network in networks])


def all_at_once(networks: list[BayesDL], inputs: Tensor) -> Callable[[], Tensor]:
    """All members in one call, their weights stacked."""
    weights, buffers = torch.func.stack_module_state(networks)
    base = networks[0]

    def one(parameters: dict, kept: dict, raw: Tensor) -> Tensor:
        return torch.func.functional_call(base, (parameters, kept), (raw,)).mean

    every = torch.func.vmap(one, in_dims=(0, 0, None))
    return lambda: every(weights, buffers, inputs)[:, 0]


def as_graph(networks: list[BayesDL], inputs: Tensor) -> Callable[[], Tensor]:
    """The members after each other, captured once as a CUDA graph."""
    run, graph = one_by_one(networks, inputs), torch.cuda.CUDAGraph()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # a capture needs its libraries started
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph):
        result = run()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


def compiled(networks: list[BayesDL], inputs: Tensor) -> Callable[[], Tensor]:
    """The members after each other, each compiled; members share the code."""
    fast = [torch.compile(network, dynamic=False) for network in networks]
    return lambda: torch.stack([network(inputs).mean[0] for network in fast])


WAYS = {
    "one by one": one_by_one,
    "vmap": all_at_once,
    "CUDA graph": as_graph,
    "compiled": compiled,
}


def inference_rows(
    networks: list[BayesDL], args: argparse.Namespace, clock: Clock
) -> list[dict[str, Any]]:
    """Every way in every precision."""
    generator = torch.Generator().manual_seed(args.seed)
    channels = networks[0].config["options"]["in_channels"]
    inputs = torch.rand((1, channels, args.size, args.size), generator=generator)
    inputs = inputs.to(clock.device, memory_format=torch.channels_last)
    work = len(networks) * multiplications(networks[0], inputs)
    rows = []
    for precision, dtype in PRECISIONS.items():
        reference = None
        for name, way in WAYS.items():
            row: dict[str, Any] = {"members": f"{len(networks)} {name}", "precision": precision}
            reason = None if clock.left() > args.reserve else "no time left"
            try:
                if reason is None:
                    with torch.no_grad(), autocast(clock.device, dtype):
                        run = way(networks, inputs)
                        maps = run().float().clone()
                        seconds = clock.seconds(run)
                    reference = maps if reference is None else reference
                    row |= speed_of(seconds, work, args.peak_tflops)
                    row["largest difference"] = float((maps - reference).abs().max())
            except (RuntimeError, AttributeError) as error:  # a way that this build does not have
                reason = " ".join(str(error).split())[:80] or type(error).__name__
            rows.append(row | {"not measured": reason or ""})
    return rows


def speed_of(seconds: float, work: float, peak_tflops: float | None) -> dict[str, float]:
    """Milliseconds, arithmetic per second, and its share of the peak where that is known."""
    rate = work / seconds / 1e12
    row = {"ms": 1e3 * seconds, "Tflop/s": rate}
    return row if peak_tflops is None else row | {"share of the peak": rate / peak_tflops}


def training_rows(network: BayesDL, args: argparse.Namespace, clock: Clock) -> list[dict[str, Any]]:
    """Patches per second of step 1."""
    rows = []
    adam = torch.optim.Adam(network.trunk.parameters(), lr=1e-5)
    channels, side = network.config["options"]["in_channels"], args.patch_size
    for precision, dtype in PRECISIONS.items():
        for batch in args.batch_sizes:
            if clock.left() <= args.reserve:
                break
            raw = torch.rand((batch, channels, side, side), device=clock.device)
            raw = raw.contiguous(memory_format=torch.channels_last)
            target = torch.rand((batch, 1, 2 * side, 2 * side), device=clock.device)

            def step(
                raw: Tensor = raw, target: Tensor = target, dtype: torch.dtype = dtype
            ) -> None:
                with autocast(clock.device, dtype):
                    mean = network(raw).mean
                adam.zero_grad(set_to_none=True)
                reconstruction_energy(mean, target, *WEIGHTS).total.backward()
                adam.step()

            seconds = clock.seconds(step)
            row = {"precision": precision, "batch": batch, "patch": f"{side} x {side}"}
            rows.append(row | {"ms per step": 1e3 * seconds, "patches per s": batch / seconds})
    return rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("gpu", "Throughput of inference and training on a GPU.")
    parser.add_argument("--size", type=int, default=502, help="raw field, pixels per side")
    parser.add_argument("--patch_size", type=int, default=96, help="raw pixels, of training")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--minutes", type=float, default=7.0, help="begin nothing after so many")
    parser.add_argument("--reserve", type=float, default=30.0, help="seconds that a way may take")
    parser.add_argument("--peak_tflops", type=float, help="of the card, for its share")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    at_least(args, size=32, patch_size=16, seed=0)
    if not 0 < args.minutes <= 8:
        raise InputError(f"--minutes: expected more than 0 and at most 8, found {args.minutes:g}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Both tables, if there is a GPU."""
    args = parse_args(argv)
    device = choose_device(args.device)
    if device.type != "cuda":
        raise InputError(
            "this benchmark needs a CUDA GPU and PyTorch finds none; on a CPU use "
            "python -m benchmarks.speed"
        )
    with exact_arithmetic():
        measure(args, Clock(device, args.minutes))


def measure(args: argparse.Namespace, clock: Clock) -> None:
    """Both tables on the device of the clock."""
    paths = list_members(args.pretrained_G)[: args.members]
    networks = [open_member(path, clock.device).network for path in paths]
    tables = {
        f"9 x {args.size} x {args.size}, networks alone": inference_rows(networks, args, clock),
        "Step 1 of the training": training_rows(
            networks[0].train().requires_grad_(True), args, clock
        ),
    }
    name = "cpu" if clock.device.type != "cuda" else torch.cuda.get_device_name(clock.device)
    facts = {"device": name, "torch": torch.__version__, "members": len(networks)}
    write_tables("gpu", tables, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
