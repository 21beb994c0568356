"""Real stacks, whose truth is unknown: agreement with wide field and with Wiener SIM.

    python -m benchmarks.real --save_path runs/benchmarks

Numbers: SQUIRREL's resolution-scaled Pearson correlation with wide field (does the image hold what
the camera did not record?), and the Fourier ring correlation with the Wiener image inside and
beyond wide field's cut-off (are the same fine structures at the same places?), for which wide
field itself is the control. Fine detail, such as the lamellae of mitochondria, is compared with
that of the Wiener filter without apodisation. Pictures: all methods and both uncertainties side by
side, `real_<stack>.png`.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.common import (
    open_posterior,
    posterior_of,
    wide_field_images,
    wiener_images,
)
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.benchmarks.shared.panels import write_comparison
from bayesdl_sim.benchmarks.shared.stacks import DEMO_STACKS
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.metrics.against_wide_field import rsp
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.reconstruction.apodisation import sharper
from bayesdl_sim.physics.reconstruction.wiener import wiener_sim
from bayesdl_sim.utils.errors import run_script

__all__ = ["STACKS", "band_correlation", "main"]

RSP_BAR = 0.95
INNER_BAND = 0.6  # of the cut-off: coarser structure agrees in any method
TAPERED_SHARE = 0.15  # of each side, before the Fourier transform
DETAIL_SIGMA = 4.0  # fine pixels


class RealStack(NamedTuple):
    """A measured stack, its optics, and its pattern frequency in cycles per raw pixel."""

    path: Path
    optics: Optics
    pattern_frequency: float


STACKS = {
    "cristae": RealStack(DEMO_STACKS / "cristae" / "raw.tif", Optics(1.3, 569.0, 65.0), 0.207),
    "hela": RealStack(DEMO_STACKS / "hela" / "raw.tif", Optics(1.3, 660.0, 65.0), 0.187),
}


def band_correlation(
    image: np.ndarray, other: np.ndarray, low: float, high: float, width: float = 0.01
) -> float:
    """Fourier ring correlation of two images, averaged over the rings from `low` to `high`.

    `FRC(ring) = Re sum(F conj(G)) / sqrt(sum |F|^2 sum |G|^2)`, after a cosine taper: 1 where both
    show the same structure at the same place, 0 where they have nothing in common.

    Args:
        image, other: (2H, 2W) on the super-resolution grid.
        low, high: cycles per raw pixel.
        width: width of a ring, cycles per raw pixel.

    Source: Saxton and Baumeister, J. Microscopy 127, 127 (1982).
    """
    spectra = [np.fft.fft2((x - x.mean()) * _taper(x.shape)) for x in (image, other)]
    rows, columns = (np.fft.fftfreq(n, d=0.5) for n in image.shape)
    frequency = np.hypot(rows[:, None], columns[None, :])
    rings = []
    for start in np.arange(low, high, width):
        ring = (frequency >= start) & (frequency < min(start + width, high))
        first, second = (spectrum[ring] for spectrum in spectra)
        power = np.linalg.norm(first) * np.linalg.norm(second)
        if power > 0:
            rings.append(float(np.vdot(second, first).real / power))
    return float(np.mean(rings)) if rings else float("nan")


def _taper(shape: tuple[int, int]) -> np.ndarray:
    sides = []
    for n in shape:
        edge = np.arange(n) + 0.5
        edge = np.minimum(edge, n - edge) / max(1.0, TAPERED_SHARE * n)
        sides.append(np.sin(0.5 * np.pi * np.minimum(edge, 1.0)) ** 2)
    return sides[0][:, None] * sides[1][None, :]


def read_scene(name: str, stack: RealStack) -> Scene:
    """The first time point of a real stack."""
    raw = torch.from_numpy(read_stack(stack.path).raw[:1])
    return Scene(
        name=name,
        raw=raw,
        target=None,
        signals=(float("nan"),),
        optics=stack.optics,
        illumination=None,
    )


def agreement(scene: Scene, stack: RealStack, images: dict[str, np.ndarray]) -> list[dict]:
    """One row per method: RSP with wide field, and the correlation with the Wiener image."""
    wide_field = scene.raw[0].mean(dim=0).numpy()
    cutoff = stack.optics.cutoff
    beyond = cutoff + stack.pattern_frequency / 2
    rows = []
    for method, image in images.items():
        score = rsp(image, wide_field)
        row: dict[str, Any] = {"stack": scene.name, "method": method, "RSP": score}
        row[f"RSP >= {RSP_BAR}"] = "yes" if score >= RSP_BAR else "NO"
        reference = method == "Wiener"
        inside = band_correlation(image, images["Wiener"], INNER_BAND * cutoff, cutoff)
        outside = band_correlation(image, images["Wiener"], cutoff, beyond)
        row["FRC with Wiener, 0.6-1 cut-off"] = "" if reference else inside
        row["FRC with Wiener, cut-off to cut-off + k/2"] = "" if reference else outside
        rows.append(row)
    return rows


def detail_against(image: np.ndarray, other: np.ndarray, lit: np.ndarray) -> tuple[float, float]:
    """Strength of the fine detail as a share of that of another image, and their correlation.

    Detail is what a Gaussian blur of `DETAIL_SIGMA` removes. Its standard deviation among the lit
    pixels is taken on the scale on which the blurred images agree best.

    Args:
        image, other: (2H, 2W), each in its own linear units.
        lit: (2H, 2W), mask of the pixels to look at.
    """
    pair = [one.astype(np.float64) for one in (image, other)]
    coarse = [gaussian_filter(one, DETAIL_SIGMA) for one in pair]
    scale = np.polyfit(coarse[0][lit], coarse[1][lit], 1)[0]
    fine = [(one - blurred)[lit] for one, blurred in zip(pair, coarse, strict=True)]
    share = scale * fine[0].std() / fine[1].std()
    return float(share), float(np.corrcoef(*fine)[0, 1])


def details(scene: Scene, stack: RealStack, image: np.ndarray) -> list[dict[str, Any]]:
    """One row per convention: fine detail against that of the filter without apodisation."""
    optics, raw = scene.optics.nominal, scene.raw[0]
    full = wiener_sim(raw, optics, apodisation=False).numpy()
    extended = optics.cutoff + stack.pattern_frequency
    images = {
        "Wiener, apodised": wiener_sim(raw, optics).numpy(),
        "BayesDL-SIM, soft": image,
        "BayesDL-SIM, sharp": sharper(torch.from_numpy(image)[None], extended)[0].numpy(),
    }
    lit = full >= np.quantile(full, 0.75)
    wide_field, rows = raw.mean(dim=0).numpy(), []
    for method, shown in images.items():
        share, correlation = detail_against(shown, full, lit)
        row = {"stack": scene.name, "method": method, "fine detail, share": share}
        row["its correlation"] = correlation
        rows.append(row | {"RSP": rsp(shown, wide_field)})
    return rows


def _name_of(path: Path) -> str:
    """A stack by its place in the repository, not by that on this computer."""
    return path.relative_to(DEMO_STACKS.parent).as_posix()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("real", "Agreement with wide field and Wiener on real stacks, and pictures.")
    parser.add_argument("--stacks", nargs="+", choices=sorted(STACKS), default=list(STACKS))
    parser.add_argument("--zoom", type=int, default=36, help="side of the zoomed field, raw pixels")
    args = parser.parse_args(argv)
    at_least(args, zoom=8)
    return args


def main(argv: list[str] | None = None) -> None:
    """Reconstructs the stacks with every method, prints the agreement, writes the pictures."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    rows: list[dict[str, Any]] = []
    detail: list[dict[str, Any]] = []
    for name in tqdm(args.stacks, "stacks", unit="stack"):
        stack = STACKS[name]
        scene = read_scene(name, stack)
        prediction = posterior_of(scene, posterior)
        images = {
            "wide field": wide_field_images(scene)[0],
            "Wiener": wiener_images(scene)[0],
            "BayesDL-SIM": prediction.mean[0, 0].numpy(),
        }
        rows += agreement(scene, stack, images)
        detail += details(scene, stack, images["BayesDL-SIM"])
        if args.save_path is not None:
            maps = {"aleatoric": prediction.aleatoric, "epistemic": prediction.epistemic}
            panels = images | {title: image[0, 0].numpy() for title, image in maps.items()}
            path = args.save_path / f"real_{name}.png"
            write_comparison(path, panels, stack.optics.pixel_size_nm / 2, 2 * args.zoom)
    facts = {
        "members": len(posterior.members),
        "stacks": [_name_of(STACKS[n].path) for n in args.stacks],
    }
    tables = {"Real stacks": rows, "Fine detail": detail}
    write_tables("real", tables, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
