"""Measured data in small: blobs under fringes, and files with the headers of BioSR."""

import struct
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

OFFSET = 98
MODES = {"i2": 1, "f4": 2, "u2": 6}


def biosr_bytes(frames, voxel):
    """An MRC file as BioSR's: no machine stamp, no `MAP `, the voxel in micrometres."""
    frames = frames[None] if frames.ndim == 2 else frames
    n, height, width = frames.shape
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, width, height, n, MODES[frames.dtype.str[1:]])
    struct.pack_into("<3i", header, 28, width, height, n)
    struct.pack_into("<3f", header, 40, width * voxel, height * voxel, n * voxel)
    return bytes(header) + frames.tobytes()


def scene(seed, size=32, levels=3, scale=2, orientations=3, phases=3):
    """`raw`: {level: (frames, size, size) uint16}, orientation-major; `target` uint16."""
    rng = np.random.default_rng(seed)
    fine = scale * size
    field = gaussian_filter(rng.random((fine, fine)), 5) + 0.1 * gaussian_filter(
        rng.random((fine, fine)), 1.5
    )
    field = (field - field.min()) / (field.max() - field.min())
    y, x = (np.mgrid[:fine, :fine] + 0.5) / scale
    frames = []
    for o in range(orientations):
        angle = 0.3 + np.pi * o / orientations
        for p in range(phases):
            wave = 2 * np.pi * (0.21 * (x * np.cos(angle) + y * np.sin(angle)) + p / phases)
            light = field * (1 + 0.8 * np.cos(wave))
            frames.append(light.reshape(size, scale, size, scale).mean(axis=(1, 3)))
    raw = {
        level: (rng.poisson(300 * level * np.array(frames)) + OFFSET + rng.integers(-3, 4))
        .clip(0)
        .astype(np.uint16)
        for level in range(1, levels + 1)
    }
    return SimpleNamespace(raw=raw, target=(5000 * field).astype(np.uint16))


@pytest.fixture
def make_scene():
    """`scene`, for tests that write their own files."""
    return scene


@pytest.fixture
def write_biosr(tmp_path):
    """Writes a structure in a layout of BioSR; returns its folder and its scenes by cell."""

    def write(cells=(1, 2, 3), levels=3, layout="one", word="level", name="F-actin", **how):
        root, scenes = tmp_path / "BioSR" / name, {}
        if layout == "nonlinear":
            how |= {"scale": 3, "orientations": 5, "phases": 5}
        for cell in cells:
            shown = scenes[cell] = scene(cell, levels=levels, **how)
            folder = root / f"Cell_{cell:03d}"
            raw = folder / "RawSIMData" if layout == "ER" else folder
            raw.mkdir(parents=True)
            for level, frames in shown.raw.items():
                path = raw / f"RawSIMData_{word}_{level:02d}.mrc"
                path.write_bytes(biosr_bytes(frames, 0.0626))
            if layout == "ER":
                (folder / "GTSIM").mkdir()
                for level in shown.raw:
                    path = folder / "GTSIM" / f"GTSIM_{word}_{level:02d}.mrc"
                    path.write_bytes(biosr_bytes(shown.target + np.uint16(level), 0.0313))
                continue
            (folder / "RawSIMData_gt.mrc").write_bytes(biosr_bytes(shown.raw[levels], 0.0626))
            names = {"nonlinear": ("SIM_gt_a.mrc", "SIM_gt_b.mrc")}.get(layout, ("SIM_gt.mrc",))
            for part, target in enumerate(names):
                (folder / target).write_bytes(biosr_bytes(shown.target // (part + 1), 0.0313))
        return root, scenes

    return write


@pytest.fixture
def write_pairs(tmp_path):
    """Writes TIFF stacks into a/ and targets into b/, the numbers without leading zeros."""

    def write(count=3, levels=1, interleaved=False, seed=0, **how):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        scenes = []
        for index in range(1, count + 1):
            shown = scene(seed + index, levels=levels, **how)
            scenes.append(shown)
            tifffile.imwrite(tmp_path / "b" / f"sr_{index}.tif", shown.target)
            for level, frames in shown.raw.items():
                if interleaved:
                    frames = frames.reshape(3, 3, *frames.shape[1:]).swapaxes(0, 1)
                    frames = frames.reshape(9, *frames.shape[2:])
                number = (index - 1) * levels + level
                tifffile.imwrite(tmp_path / "a" / f"raw_{number}.tif", frames)
        return scenes

    return write
