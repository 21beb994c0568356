"""Pattern estimation: the illumination of a stack, from nothing but the stack and its optics."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES, Illumination
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.patterns.bands import equalise, noise_variance, prepare, separate, unmixing
from bayesdl_sim.physics.patterns.correlation import (
    Field,
    correlate,
    field_of,
    reference,
    refine,
    score_map,
)
from bayesdl_sim.physics.patterns.overlap import mixture, modulation, overlap
from bayesdl_sim.physics.patterns.search import find_fan

__all__ = ["Estimate", "estimate", "estimate_illumination"]

ROUNDS = 4  # of wave vector and phases; they settle in three
NOMINAL = tuple(2 * math.pi * p / PHASES for p in range(PHASES))
PHASE_SPREAD_RAD = 0.04  # of phases around steps of 120 degrees
LOW_SHARES = (0.3, 0.1, 0.0)  # of the cut-off: frequencies left out because of haze
CLEAR_ERROR = 0.2  # relative
MODULATION_RANGE = (0.02, 1.0)
MODULATION_GUESS = (0.5, 0.3)  # mean and standard deviation where the stack does not tell


class Estimate(NamedTuple):
    """The illumination of a stack, and how far to trust it.

    Attributes:
        confidence: per orientation, the height of the correlation peak over its background:
            up to 4.5 in a stack without fringes, above 6 a clear peak.
    """

    illumination: Illumination
    confidence: tuple[float, float, float]

    def within(self, square: tuple[slice, slice]) -> Estimate:
        """The estimate for a part of the field, with phases at the part's first raw pixel.

        `phase + 2 pi k.r`, r the part's first pixel.

        Args:
            square: rows and columns of the field, in raw pixels.
        """
        top, left = (part.start or 0 for part in square)
        light, phase = self.illumination, []
        for k, angle, steps in zip(light.frequency, light.angle, light.phase, strict=True):
            moved = 2 * math.pi * k * (math.cos(angle) * left + math.sin(angle) * top)
            phase.append(tuple(step + moved for step in steps))
        return self._replace(illumination=replace(light, phase=tuple(phase)))


def estimate_illumination(raw: Tensor, optics: Optics) -> Illumination:
    """The illumination of `estimate` alone."""
    return estimate(raw, optics).illumination


def estimate(raw: Tensor, optics: Optics = TYPICAL_OPTICS) -> Estimate:
    """Finds wave vectors, phases, modulation and brightness of the nine fringe patterns.

    1. Bands for phases of 0, 120, 240 degrees; the order only decides which of k and -k is found.
    2. Correlation of the moved with the wide-field band over all wave vectors; the three
       orientations are searched together, since they fan out by 60 degrees, either way round.
    3. Wave vector to a sub-pixel; phase of each frame, from the mixture of frames that is nearest
       to the wide-field band in the overlap; new bands, and again.
    4. Modulation and brightness from the overlap.

    Without a clear peak the best guess is returned, with a low confidence.

    Args:
        raw: (9, H, W) counts, orientation-major; any H and W of at least 16.

    Returns:
        Wave vectors of angle 0..pi; phases at the centre of the first raw pixel.

    Raises:
        InputError: for a stack that cannot be one (`bands.prepare`).

    Source: Gustafsson et al., Biophys. J. 94, 4957 (2008); Wicker et al., Opt. Express 21, 2032
    (2013); Mueller et al., Nat. Commun. 7, 10980 (2016). The joint search, the
    whitening and the phases from a mixture are this project's.
    """
    frames = prepare(raw)
    noise = noise_variance(frames, optics)
    frames = equalise(frames, optics, noise)
    field = field_of(tuple(frames.shape[1:]), optics, frames.device)
    triples = [_triple(own, field) for own in frames.split(PHASES)]
    maps = []
    for triple in triples:
        bands = _bands(triple, NOMINAL)
        ref = reference(bands.zero, bands.first, field, noise / PHASES)
        maps.append(score_map(ref, correlate(ref, bands.first, field), field))
    waves, confidence = find_fan(maps, 1.6 * optics.cutoff)
    rows = []
    for triple, wave in zip(triples, waves, strict=True):
        rows.append(_orientation(triple, field, noise / PHASES, wave, optics))
    frequency, angle, phase, depth = zip(*rows, strict=True)
    zero, _ = separate(frames, (NOMINAL,) * ORIENTATIONS)
    illumination = Illumination(frequency, angle, phase, depth, _brightness(zero, field.window))
    return Estimate(illumination, tuple(confidence))


class _Triple(NamedTuple):
    """The three frames of one orientation, tapered: (3, H, W), and their spectra (3, h, w)."""

    images: Tensor
    spectra: Tensor


class _Bands(NamedTuple):
    """The bands of one orientation, tapered: spectra (h, w), and the moved one as (H, W)."""

    zero: Tensor
    first: Tensor
    image: Tensor


def _triple(frames: Tensor, field: Field) -> _Triple:
    return _Triple(frames * field.window, field.spectra(frames))


def _bands(triple: _Triple, phases: tuple[float, ...]) -> _Bands:
    """As `bands.separate`, but linear in the spectra, which are not transformed again."""
    zero, real, imaginary = unmixing((phases,))[0].to(triple.spectra)
    weights = torch.stack([zero, real + 1j * imaginary])
    spectra = torch.tensordot(weights, triple.spectra, 1)
    image = torch.tensordot(weights[1], triple.images.to(weights), 1)
    return _Bands(spectra[0], spectra[1], image)


def _orientation(
    triple: _Triple, field: Field, noise: float, wave: tuple[float, float], optics: Optics
) -> tuple[float, float, tuple[float, ...], float]:
    """Frequency, angle, phases and modulation of one orientation, near a wave vector.

    Args:
        noise: variance of a pixel of a band.
    """
    phases = NOMINAL
    for _ in range(ROUNDS):
        zero, first, image = _bands(triple, phases)
        ref = reference(zero, first, field, noise)
        wave = refine(ref, correlate(ref, first, field), *wave)
        both = overlap(zero, image, field, wave, noise).above(LOW_SHARES[1] * optics.cutoff)
        phases = _phases(phases, *mixture(both))
    zero, _, image = _bands(triple, phases)
    both = overlap(zero, image, field, wave, noise)
    # From the frequencies that haze does not reach, if they tell enough.
    for share in LOW_SHARES:
        depth, error = modulation(both.above(share * optics.cutoff))
        if error < CLEAR_ERROR:
            break
    ky, kx = wave
    if ky < 0:  # cos(kr + phase) = cos(-kr - phase)
        ky, kx, phases = -ky, -kx, tuple(-p for p in phases)
    return math.hypot(ky, kx), math.atan2(ky, kx), phases, _plausible(depth, error)


def _phases(phases: tuple[float, ...], u: complex, v: complex, error: float) -> tuple[float, ...]:
    """Phases that unmix the band which was separated with `phases`.

    The mixture is a sum of the frames with weights `w_p`. It holds the moved band alone if
    `sum w_p = 0` and `sum w_p exp(-i phase_p) = 0`: two triangles with sides of the same
    length, mirror images of each other, hence `phase_p = 2 arg w_p + constant`. The constant
    makes the moved band a positive multiple of the sample. The phases are then drawn towards
    steps of 120 degrees as far as their standard error exceeds what they usually deviate.
    """
    _, real, imaginary = unmixing((phases,))[0]
    own = torch.complex(real, imaginary).tolist()
    weights = [u * w + v * w.conjugate() for w in own]
    found = [2 * cmath.phase(w) for w in weights]
    turns = zip(weights, found, strict=True)
    offset = cmath.phase(sum(w * cmath.exp(1j * f) for w, f in turns))
    fits = []
    for sense in (1, -1):
        rest = [f - offset - sense * n for f, n in zip(found, NOMINAL, strict=True)]
        mean = cmath.phase(sum(cmath.exp(1j * r) for r in rest))
        away = [math.remainder(r - mean, 2 * math.pi) for r in rest]
        fits.append((sum(a * a for a in away), sense, mean, away))
    _, sense, mean, away = min(fits)
    # An error of v / u turns a weight by as much, and its phase by twice that.
    trust = PHASE_SPREAD_RAD**2 / (PHASE_SPREAD_RAD**2 + 4 * error**2)
    steps = zip(NOMINAL, away, strict=True)
    return tuple(math.remainder(mean + sense * n + trust * a, 2 * math.pi) for n, a in steps)


def _plausible(depth: float, error: float) -> float:
    """Modulation drawn towards what is usual, as far as its relative `error` is large."""
    usual, spread = MODULATION_GUESS
    if not math.isfinite(error):
        return usual
    own, prior = 1 / max(error * depth, 1e-6) ** 2, 1 / spread**2
    depth = (own * depth + prior * usual) / (own + prior)
    return min(max(depth, MODULATION_RANGE[0]), MODULATION_RANGE[1])


def _brightness(zero: Tensor, window: Tensor) -> tuple[float, float, float]:
    """Brightness of each orientation relative to their mean: regression of the wide-field bands.

    Deviations from the field's mean are compared, so that the background does not count.
    """
    zero = (zero - (zero * window).sum(dim=(1, 2), keepdim=True) / window.sum()) * window
    mean = zero.mean(dim=0)
    ratio = (zero * mean).sum(dim=(1, 2)) / (mean**2).sum().clamp(min=1e-300)
    return tuple(float(r) if 0.3 < r < 3.0 else 1.0 for r in ratio)
