"""Pattern estimation: the illumination of a stack, from its nine frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES, Illumination, directed
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.patterns.bands import exposures, separate, unmixing
from bayesdl_sim.physics.patterns.correlation import (
    Field,
    Reference,
    Sample,
    correlate,
    field_of,
    filtered,
    reference,
    refine,
)
from bayesdl_sim.physics.patterns.cutoff import (
    differ,
    explained_by,
    fit_aberrations,
    fit_optics,
    with_cutoff,
)
from bayesdl_sim.physics.patterns.measured import Counts, measured
from bayesdl_sim.physics.patterns.noise import noise_bins, noise_line, noise_weight
from bayesdl_sim.physics.patterns.overlap import mixture, modulation, overlap, plausible
from bayesdl_sim.physics.patterns.phases import NOMINAL, phases_from_mixture, turned
from bayesdl_sim.physics.patterns.positive import positive_sample
from bayesdl_sim.physics.patterns.scores import score_map
from bayesdl_sim.physics.patterns.search import Fan, find_fan
from bayesdl_sim.physics.sensor.interpolation import narrow_gaps
from bayesdl_sim.physics.sensor.missing import validity

__all__ = ["FOUND", "Estimate", "estimate"]

FOUND = 0.5  # probability above which the fringes of an orientation count as found: even odds
# Cycles per raw pixel, where the optics are unknown; the second one where the first leaves doubt.
TRIED_CUTOFFS = (0.36, 0.28)
ROUNDS = 3  # of wave vector and phases
LOW_SHARES = (0.3, 0.1, 0.0)  # of the cut-off: frequencies left out because of haze
CLEAR_ERROR = 0.2  # relative
CLEAR_TRUST = 0.9  # in the fringes, that given optics must not contradict
# Log odds of fringes before a stack is seen: for a whole fan, and for one orientation of it.
PRIOR_FAN, PRIOR_ORIENTATION = -2.0, -1.5


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The illumination of a stack, and how far to trust it.

    Attributes:
        illumination: wave vectors, phases, modulation and brightness.
        confidence: per orientation, the height of the correlation peak over its background:
            up to 4.5 in a stack without fringes, above 6 a clear peak.
        evidence: log of the Bayes factor of three such patterns against none; below 0 in a stack
            without fringes.
        probability: per orientation, that its pattern is real, 0..1.
        frequency_error: per orientation, standard error in cycles per raw pixel, along any axis.
        phase_error: per orientation, standard error in rad of the phases in the field's middle.
        modulation_error: per orientation, standard error.
        optics: that the patterns were found with: the given ones with fitted aberrations, unless
            the fringes contradict them, or fitted ones.
    """

    illumination: Illumination
    confidence: tuple[float, float, float]
    evidence: float
    probability: tuple[float, float, float]
    frequency_error: tuple[float, float, float]
    phase_error: tuple[float, float, float]
    modulation_error: tuple[float, float, float]
    optics: Optics

    def within(self, square: tuple[slice, slice]) -> Estimate:
        """The estimate for a part of the field, with phases at the part's first raw pixel.

        Args:
            square: rows and columns of the field, in raw pixels.
        """
        top, left = (part.start or 0 for part in square)
        return replace(self, illumination=self.illumination.seen_from(top, left))


def estimate(raw: Counts, optics: Optics | None = None) -> Estimate:
    """Finds wave vectors, phases, modulation and brightness of the nine fringe patterns.

    1. Bands for phases of 0, 120, 240 degrees; the order only decides which of k and -k is found.
       The sample is estimated from the mean of all nine frames, where fringes cancel.
    2. Correlation of the shifted bands with the sample over all wave vectors, pixels weighed by
       their noise; the three orientations are searched together, since they fan out by 60
       degrees, either way round. Unknown optics are fitted to the bands (`cutoff.fit_optics`).
    3. Wave vector to a sub-pixel; phases from the correlation, and steps between them from the
       mixture of frames that is nearest to the wide-field band in the overlap; again.
    4. Modulation and brightness from the overlap.

    Without a clear peak the best guess is returned, with a low probability.

    Args:
        raw: (9, H, W) counts, orientation-major, measured or not; any H and W of at least 16.
        optics: of the detection, as far as they are known. Their aberrations are fitted, unless
            the OTF is measured. Where the fringes are clear and show a cut-off that is another by
            more than an eighth, that is fitted all the same.

    Returns:
        Wave vectors of angle 0..pi; phases at the centre of the first raw pixel.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`).

    Source: Gustafsson et al., Biophys. J. 94, 4957 (2008); Wicker et al., Opt. Express 21, 2032
    (2013); Mueller et al., Nat. Commun. 7, 10980 (2016). The joint search, the evidence, the
    whitening and the phases from a mixture are this project's.
    """
    stack, known = measured(raw), optics or TYPICAL_OPTICS
    missing, valid, spots, noise = stack.missing, stack.validity, stack.spots, stack.noise(known)
    exposed = exposures(stack.frames, known, noise, spots)
    frames, rest = stack.frames / exposed, stack.beyond_any_lens / exposed
    # In units of the noise: the numbers stay within what single precision holds.
    unit = math.sqrt(noise) if noise > 0 else max(float(frames.abs().max()), 1.0)
    frames, noise = frames / unit, noise / unit**2
    bins = noise_bins(frames, valid, rest / unit)
    # What is interpolated counts: a notch in the window would spread low frequencies over all.
    weight = noise_weight(frames, validity(missing & ~narrow_gaps(missing)), bins)
    field = field_of(known, weight if spots is None else weight * spots)
    triples = [_triple(three, field) for three in frames.split(PHASES)]
    wide = torch.stack([triple.spectra.mean(dim=0) for triple in triples]).mean(dim=0)
    bands = [_bands(triple, NOMINAL)[0] for triple in triples]
    mean, line = frames.mean(dim=0), noise_line(frames, valid, bins)
    candidates, searches = [optics] if optics else [with_cutoff(c) for c in TRIED_CUTOFFS], []
    for glass in candidates:
        sample = positive_sample(mean, glass, line, field)
        searches.append(_search(sample, bands, field.through(glass), noise, glass))
        if searches[-1].fan.is_clear:
            break
    best = max(searches, key=lambda one: one.fan.evidence)
    variances = (noise / (ORIENTATIONS * PHASES), noise / PHASES)
    trust = _sigmoid(best.fan.evidence + PRIOR_FAN)
    explained = explained_by(wide, bands, best.fan.waves, best.field, variances)
    glass = fit_optics(explained, trust)
    if optics is not None and not (trust > CLEAR_TRUST and differ(optics, glass)):
        glass = fit_aberrations(optics, explained, trust)
    best = _seen_through(best, bands, noise, glass)
    zero, _ = separate(frames, (NOMINAL,) * ORIENTATIONS)
    brightness = _brightness(zero, field.window)
    rows = [
        _orientation(triples[o], wide, best, o, noise, brightness[o]) for o in range(ORIENTATIONS)
    ]
    return _collect(rows, best, brightness, min(frames.shape[1:]))


@dataclass(frozen=True, kw_only=True)
class _Search:
    """One try: optics, the field seen through them, sample, references, the best fan of waves."""

    optics: Optics
    field: Field
    sample: Sample
    references: list[Reference]
    fan: Fan


@dataclass(frozen=True, kw_only=True)
class _Triple:
    """The three frames of one orientation, tapered: (3, H, W), and their spectra (3, h, w)."""

    images: Tensor
    spectra: Tensor


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Estimates of one orientation; `wave` is (ky, kx), the errors are standard errors."""

    wave: tuple[float, float]
    phases: tuple[float, ...]
    depth: float
    depth_error: float
    energy: float


def _search(
    sample: Sample, bands: list[Tensor], field: Field, noise: float, optics: Optics
) -> _Search:
    references = _references(sample, bands, field, noise)
    maps = [
        score_map(ref, filtered(ref, band, field), field)
        for ref, band in zip(references, bands, strict=True)
    ]
    return _Search(
        optics=optics, field=field, sample=sample, references=references, fan=find_fan(maps)
    )


def _seen_through(search: _Search, bands: list[Tensor], noise: float, optics: Optics) -> _Search:
    """The same fan of wave vectors with other optics."""
    field = search.field.through(optics)
    references = _references(search.sample, bands, field, noise)
    return replace(search, optics=optics, field=field, references=references)


def _references(sample: Sample, bands: list[Tensor], field: Field, noise: float) -> list[Reference]:
    return [reference(sample, band, field, noise / PHASES) for band in bands]


def _triple(frames: Tensor, field: Field) -> _Triple:
    return _Triple(images=frames * field.window, spectra=field.spectra(frames))


def _bands(triple: _Triple, phases: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The shifted band of `bands.separate`: its spectrum (h, w) and itself, (H, W)."""
    _, real, imaginary = unmixing((phases,))[0].to(triple.spectra)
    weights = real + 1j * imaginary
    spectrum = torch.tensordot(weights, triple.spectra, 1)
    return spectrum, torch.tensordot(weights, triple.images.to(weights), 1)


def _orientation(
    triple: _Triple, wide: Tensor, search: _Search, o: int, noise: float, brightness: float
) -> _Row:
    """Wave vector, phases and modulation of one orientation, near the wave vector of the fan.

    Args:
        noise: variance of a pixel of a frame.
        brightness: of the orientation, relative to the mean that `wide` is.
    """
    field, ref, wave = search.field, search.references[o], search.fan.waves[o]
    variances = (noise / (ORIENTATIONS * PHASES), noise / PHASES)
    phases = NOMINAL
    pair, earlier = None, None
    for step in range(ROUNDS + 1):
        spectrum, image = _bands(triple, phases)
        product = correlate(ref, spectrum, field)
        if wave != earlier:  # else it has come to rest
            earlier, wave = wave, refine(ref, product, *wave)
        phases = turned(phases, product, wave)
        _, image = _bands(triple, phases)
        pair = overlap(wide, image, field, wave, variances, pair if wave == earlier else None)
        if step < ROUNDS:
            low = pair.above(LOW_SHARES[1] * search.optics.cutoff)
            phases = phases_from_mixture(phases, *mixture(low))
    # From the frequencies that haze does not reach, if they suffice.
    for share in LOW_SHARES:
        depth, error = modulation(pair.above(share * search.optics.cutoff))
        if error < CLEAR_ERROR:
            break
    depth, error = plausible(depth / brightness, error)
    energy = math.log(2.0) * search.fan.heights[o] ** 2
    return _Row(wave=wave, phases=phases, depth=depth, depth_error=error, energy=energy)


def _brightness(zero: Tensor, window: Tensor) -> tuple[float, float, float]:
    """Brightness of each orientation relative to their mean: regression of the wide-field bands.

    Deviations from the field's mean are compared, so that the background does not count.
    """
    zero = (zero - (zero * window).sum(dim=(1, 2), keepdim=True) / window.sum()) * window
    mean = zero.mean(dim=0)
    ratio = (zero * mean).sum(dim=(1, 2)) / (mean**2).sum().clamp(min=1e-30)
    return tuple(float(r) if 0.3 < r < 3.0 else 1.0 for r in ratio)


def _collect(
    rows: list[_Row], search: _Search, brightness: tuple[float, float, float], side: int
) -> Estimate:
    """The rows of the three orientations as one estimate.

    A peak of energy E (log-likelihood ratio) has a phase error of `1 / sqrt(2 E)` and, for a field
    of L pixels, a frequency error of `sqrt(3) / (pi L sqrt(2 E))`.
    """
    fan = search.fan
    fringes = [directed(*row.wave, row.phases) for row in rows]
    frequency, angle, phase = zip(*fringes, strict=True)
    joint = _sigmoid(fan.evidence + PRIOR_FAN)
    phase_error = tuple(1 / math.sqrt(2 * max(row.energy, 0.1)) for row in rows)
    return Estimate(
        illumination=Illumination(
            frequency, angle, phase, tuple(row.depth for row in rows), brightness
        ),
        confidence=tuple(fan.heights),
        evidence=fan.evidence,
        probability=tuple(
            joint * share * _sigmoid(e + PRIOR_ORIENTATION)
            for e, share in zip(fan.evidences, fan.certainties, strict=True)
        ),
        frequency_error=tuple(math.sqrt(3) / (math.pi * side) * error for error in phase_error),
        phase_error=phase_error,
        modulation_error=tuple(row.depth_error for row in rows),
        optics=search.optics,
    )


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(min(log_odds, 500.0), -500.0)))
