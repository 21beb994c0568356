"""A checked run of the shipped posterior: does this installation compute what it should?"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import bayesdl_sim
from bayesdl_sim.bayes.calibration.stored import CALIBRATION_FILE, read_calibrations
from bayesdl_sim.data.stacks import RawStack, read_stack
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.metrics.against_wide_field import rsp
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.tools.machine import Line, machine_lines
from bayesdl_sim.utils.errors import InputError, is_out_of_memory

__all__ = ["checked_run", "examine", "example_stack", "member_line", "require_sound"]

EXAMPLE = Path("data", "cristae", "raw.tif")  # measured, nine frames of 120 x 120
LEAST_AGREEMENT = 0.95  # Pearson correlation of the blurred result with wide field; it is 0.995
LARGEST_DIFFERENCE = 0.03  # between two kinds of arithmetic, in normalised SR intensity


def examine(folder: Path, members: int | None = None) -> list[Line]:
    """The whole report: versions and hardware, the files of the posterior, and a checked run.

    Args:
        folder: where results would go.
        members: members of the run; None: all.
    """
    lines = machine_lines(folder)
    try:
        lines.append(member_line(shipped_folder()))
        lines += checked_run(members)
    except InputError as error:
        lines.append(Line(f"FAILED: {error}", True))
    except (ImportError, RuntimeError, OSError) as error:
        advice = "free some memory" if is_out_of_memory(error) else "install the packages again"
        words = " ".join(str(error).split())
        lines.append(Line(f"FAILED: {type(error).__name__}: {words}: {advice}", True))
    return lines


def member_line(folder: Path) -> Line:
    """Whether the members are, byte for byte, those that the calibration was fitted for."""
    posterior = Posterior.load(folder, "cpu", precision="fp32")
    stored = read_calibrations(folder / CALIBRATION_FILE)[-1].members
    different = [name for name, digest in posterior.hashes.items() if stored.get(name) != digest]
    count = len(posterior.members)
    if different or len(stored) != count:
        names = ", ".join(different or sorted(set(stored) - set(posterior.hashes)))
        return Line(
            f"FAILED: posterior: {names} differ from those that {CALIBRATION_FILE} names, or "
            "posterior.json is missing: install the software again",
            True,
        )
    gate = "gate" if posterior.gate else "no gate"
    return Line(f"posterior: {count} members, SHA-256 as calibrated; {gate}", not posterior.gate)


def checked_run(members: int | None = None) -> list[Line]:
    """Reconstructs the measured demo stack on the CPU and on the device of choice, and compares.

    Raises:
        InputError: a result that cannot be right.
    """
    stack = read_stack(example_stack())
    exact = Posterior.shipped(device="cpu", members=members, precision="fp32")
    result, seconds = _timed(exact, stack)
    _require_right(stack, result)
    sizes = "x".join(map(str, stack.raw.shape[-2:]))
    words = f"{len(exact.members)} members, 9 frames of {sizes} px"
    lines = [Line(f"run on cpu, fp32: {words}, {seconds:.1f} s, verdict {result.verdict.decision}")]
    chosen = Posterior.shipped(members=members)
    arithmetic = chosen.facts["run"]["precision"]
    if (chosen.device.type, arithmetic) != ("cpu", "fp32"):
        device_result, seconds = _timed(chosen, stack)
        difference = float(np.abs(device_result.sr - result.sr).max())
        words = (
            f"run on {chosen.device}, {arithmetic}: {seconds:.1f} s, SR differs by {difference:.1g}"
        )
        if not difference < LARGEST_DIFFERENCE:
            raise InputError(
                f"{words} at most, below {LARGEST_DIFFERENCE} expected: use --device cpu "
                "--precision fp32, and report it"
            )
        lines.append(Line(words))
    return lines


def _timed(posterior: Posterior, stack: RawStack) -> tuple[Reconstruction, float]:
    began = time.perf_counter()
    result = posterior.reconstruct(stack)
    return result, time.perf_counter() - began


def example_stack() -> Path:
    """The stack, beside the code in a checkout and inside it in a wheel."""
    for base in bayesdl_sim.__path__:
        if (Path(base) / EXAMPLE).is_file():
            return Path(base) / EXAMPLE
    raise InputError(f"the demo stack {EXAMPLE} is missing: install the software again")


def _require_right(stack: RawStack, result: Reconstruction) -> None:
    """`InputError` unless the result is finite, like the wide field, uncertain, and accepted."""
    maps = (result.sr, result.aleatoric, result.epistemic)
    if not all(np.isfinite(image).all() for image in maps):
        raise InputError("the demo stack gives values that are not finite: install PyTorch again")
    agreement = rsp(result.sr[0], stack.raw[0].mean(axis=0))
    if not agreement > LEAST_AGREEMENT:
        raise InputError(
            f"the result of the demo stack does not agree with its wide field (correlation "
            f"{agreement:.3f}, above {LEAST_AGREEMENT} expected): install PyTorch again"
        )
    if not (result.epistemic.max() > 0 and result.aleatoric.min() > 0):
        raise InputError("the demo stack gives no uncertainty: install the software again")
    if result.verdict.decision not in ("accept", "warn"):
        raise InputError(f"the demo stack is not accepted: {result.verdict.sentence()}")


def require_sound(lines: list[Line]) -> None:
    """`InputError` if a check failed; warnings are not failures."""
    failed = [line.text for line in lines if line.text.startswith("FAILED")]
    if failed:
        raise InputError(f"{len(failed)} of the checks failed, see above")
