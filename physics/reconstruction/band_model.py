"""The linear model of SIM: from an image to the bands that its frames are separated into, and back.

Images are spectra on the doubled grid, bands are images on the camera's grid, both with margins
around the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import Optics, otf_at
from bayesdl_sim.physics.patterns.bands import camera_pixel, fast_shape, frequencies, separate
from bayesdl_sim.physics.reconstruction.doubled_grid import (
    MARGIN,
    carrier,
    full_plane,
    half_plane,
    mirror,
)

__all__ = ["BandModel"]

WIDE = (0.0, 0.0)  # wave vector of the band that no fringes shift


@dataclass(frozen=True, kw_only=True)
class _Band:
    """How one band sees the spectrum of an image.

    With its wave vector `k = K + d`, K a frequency of the padded field, the band at frequency f is
    the spectrum at `f - K`, times the transfer of lens and camera pixel at `f + d`; the field is
    then multiplied by the slow wave `exp(2 pi i d.r)`, which no spectrum of the padded field holds.

    Attributes:
        places: (n,), the frequencies f that the lens passes, in the flattened plane of the camera's
            grid. One index is looked up several times as fast as two.
        image_places: (n,), those of `f - K`, on the doubled grid.
        transfer: (n,), real.
        response: (n,), a quarter of the transfer, times a phase: `K` at the first pixel of the
            margin, and the quarter of a pixel between the centres of the two grids.
        slow: (h, w), the slow wave; zero phase at the first pixel of the field.
        weight: what the band is multiplied by where it is added to the others.
        power: the square of its depth, counted with its conjugate.
    """

    places: Tensor
    image_places: Tensor
    transfer: Tensor
    response: Tensor
    slow: Tensor
    weight: float
    power: float


class BandModel:
    """The imaging model of a field under known patterns, without background.

    The bands are the wide field, `sum_o b_o^2 (h * x)`, and for each orientation o with the wave
    vector k the shifted band, `(b_o m_o / 2) h * (x exp(2 pi i k.r))`. Here x is the image, h the
    point spread function of lens and camera pixel, b the brightness and m the modulation. Noise is
    alike in all bands (`bands.separate`), so that the sum of the shifted-back bands is all that a
    least-squares estimate needs of the frames.

    Args:
        size: height and width of the field.
        optics: optics of the detection.
        illumination: patterns, phases at the centre of the field's first raw pixel.
        like: real, whose device and precision all results have.

    Source: Gustafsson et al., Biophys. J. 94, 4957 (2008), equations 1 to 5.
    """

    def __init__(
        self, size: tuple[int, int], optics: Optics, illumination: Illumination, like: Tensor
    ) -> None:
        self.size, self.illumination, self._like = size, illumination, like
        self.small = fast_shape(size, MARGIN)
        self.shape = (2 * self.small[0], 2 * self.small[1])
        bright, depth = illumination.brightness, illumination.modulation
        self._bands = [self._band(optics, WIDE, 1.0, sum(b**2 for b in bright))]
        for wave, b, m in zip(illumination.waves, bright, depth, strict=True):
            self._bands.append(self._band(optics, wave, b * m, 0.5 * (b * m) ** 2))

    def separated(self, frames: Tensor) -> list[Tensor]:
        """The bands of frames (9, H, W): a real and three complex images (H, W).

        The wide fields of the orientations are added, each times its brightness.
        """
        zero, first = separate(frames, self.illumination.phase)
        bright = torch.tensor(self.illumination.brightness, dtype=zero.dtype, device=zero.device)
        return [torch.tensordot(bright, zero, 1), *first]

    def mirrored(self, bands: list[Tensor]) -> list[Tensor]:
        """Bands continued into the margins (h, w) by their mirror images, fading to zero.

        Mirroring would turn fringes round, so they are taken off before and put on again.
        """
        continued = [mirror(bands[0], self.small)]
        for wave, band in zip(self.illumination.waves, bands[1:], strict=True):
            inside = carrier(wave, self.size, 0, band)
            outside = carrier(wave, self.small, MARGIN, band)
            continued.append(mirror(band * inside.conj(), self.small) * outside)
        return continued

    def padded(self, image: Tensor) -> Tensor:
        """An image (H, W) of the field with zeros in the margins: (h, w)."""
        height, width = self.size
        whole = image.new_zeros(self.small)
        whole[MARGIN : MARGIN + height, MARGIN : MARGIN + width] = image
        return whole

    def added(self, bands: list[Tensor]) -> Tensor:
        """The bands (h, w) filtered, shifted back and added: half plane of `rfft2`.

        It is the adjoint of the model, and the numerator of a Wiener filter.
        """
        total = self._like.new_zeros(self.shape, dtype=self._complex)
        for band, image in zip(self._bands, bands, strict=True):
            self._add(total, band, image, band.weight)
        return half_plane(total)

    def normal(self, spectrum: Tensor, inside: Tensor) -> Tensor:
        """What the frames of an image would add up to, where there are any.

        Args:
            spectrum: half plane of the image.
            inside: (h, w), 1 for pixels with data and 0 for others.

        Returns:
            Half plane: `added` of the bands that the image has within the mask.
        """
        whole = full_plane(spectrum)
        total = torch.zeros_like(whole)
        for band in self._bands:
            seen = whole.flatten().index_select(0, band.image_places) * band.response
            field = whole.new_zeros(math.prod(self.small)).index_copy_(0, band.places, seen)
            image = torch.fft.ifft2(field.reshape(self.small))
            image *= inside  # the slow wave would be taken off again
            self._add(total, band, image, band.power, is_slow=True)
        return half_plane(total)

    @cached_property
    def gain(self) -> Tensor:
        """`normal` with data everywhere, a factor of each frequency: half plane, float64."""
        total = self._like.new_zeros(math.prod(self.shape), dtype=torch.float64)
        for band in self._bands:
            total.index_add_(0, band.image_places, band.power * band.transfer.double() ** 2)
        return half_plane(total.reshape(self.shape))

    @property
    def _complex(self) -> torch.dtype:
        return torch.complex64 if self._like.dtype == torch.float32 else torch.complex128

    def _add(
        self, total: Tensor, band: _Band, image: Tensor, weight: float, is_slow: bool = False
    ) -> None:
        """Adds a band to a full plane at its place; its slow wave may be off already."""
        image = image if is_slow else image * band.slow.conj()
        part = torch.fft.fft2(image).flatten().index_select(0, band.places)
        part = part * (16 * weight * band.response.conj())
        total.view(-1).index_add_(0, band.image_places, part)

    def _band(
        self, optics: Optics, wave: tuple[float, float], weight: float, power: float
    ) -> _Band:
        device = self._like.device
        sides, shifts, rests = [], [], []
        for k, n, f in zip(wave, self.small, frequencies(self.small, device), strict=True):
            f, whole = f.flatten(), round(k * n)
            rests.append(k - whole / n)
            passed = ((f + rests[-1]).abs() < optics.cutoff).nonzero().flatten()
            f = f[passed]
            of_image = (f * n).round().long() - whole
            sides.append((passed, of_image % (2 * n), f + rests[-1]))
            # Phase of the spectrum at the centres of raw pixels; K is zero at the field's first.
            angle = 0.5 * math.pi * of_image / n - 2 * math.pi * whole / n * MARGIN
            shifts.append(torch.polar(torch.ones_like(angle), angle))
        (rows, image_rows, down), (columns, image_columns, along) = sides
        down, along = down[:, None], along[None]
        transfer = otf_at(optics, torch.hypot(down, along)) * camera_pixel(down, along)
        phase = shifts[0][:, None] * shifts[1]
        return _Band(
            places=(rows[:, None] * self.small[1] + columns).flatten(),
            image_places=(image_rows[:, None] * self.shape[1] + image_columns).flatten(),
            transfer=transfer.flatten().to(self._like),
            response=(0.25 * transfer * phase).flatten().to(self._complex),
            slow=carrier(tuple(rests), self.small, MARGIN, self._like.to(self._complex)),
            weight=weight,
            power=power,
        )
