"""The generator that ships: from moments and estimates to density, through the imaging model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, softplus

from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.network.features import CAMERA_CHANNELS, ESTIMATES, Features
from bayesdl_sim.models.dropout import Dropout

__all__ = ["FORMAT", "MomentsGenerator", "Structure"]

FORMAT = "BayesDL-SIM DLBI member"  # in the file of a member
DROPOUT = 0.05
ENCODED = 8  # channels of the per-frame encoder


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Output of the network for a batch of fields.

    Args:
        light: (B, 8H, 8W) light of each fine pixel, in units of the features' scale.
        first: the same before the step of the imaging model.
        light_4x, light_2x: (B, 4H, 4W) and (B, 2H, 2W), sums over the pixels of the coarser grids.
        occupied: (B, 8H, 8W) logit of the probability that a fluorophore lies in the pixel.
        log_brightness: (B,) logarithm of the light of one fluorophore, in units of the scale.
    """

    light: Tensor
    first: Tensor
    light_4x: Tensor
    light_2x: Tensor
    occupied: Tensor
    log_brightness: Tensor


class _Block(nn.Module):
    """Residual block: 3 x 3, ReLU, dropout of channels, 3 x 3."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.dropout = Dropout(dropout, channels=True)
        nn.init.zeros_(self.second.bias)
        self.second.weight.data *= 0.3

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.dropout(nn.functional.relu(self.first(x))))


class _FrameEncoder(nn.Module):
    """Features of single frames, pooled over any number of them: mean and spread over time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, ENCODED, 3, padding=1), nn.ReLU()
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, n, H, W) to (B, 2 `ENCODED`, H, W)."""
        count = frames.shape[1]
        codes = self.layers(frames.flatten(0, 1)[:, None]).float()
        codes = codes.view(-1, count, *codes.shape[1:])
        mean = codes.mean(dim=1)
        spread = (codes.square().mean(dim=1) - mean.square()).clamp(min=0).add(1e-6).sqrt()
        return torch.cat([mean, spread], dim=1)


class _Head(nn.Module):
    """Features on the 4x grid to light and occupation on the 8x grid.

    The light is a blend of the early and the final estimate of stage 2, times a gain, plus a
    correction. Without any training it is close to the final estimate.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width, 16, 3, padding=1)
        self.out.weight.data *= 0.3

    def forward(self, x: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        gain, blend, fresh, occupied = pixel_shuffle(self.out(x).float(), 2).unbind(1)
        share = torch.sigmoid(blend + 1)
        estimate = share * fine[:, 1] + (1 - share) * fine[:, 0]
        light = estimate * torch.exp(gain.clamp(-6, 3)) + softplus(fresh - 5.0)
        return light, occupied - 3.0


class MomentsGenerator(nn.Module):
    """A U-Net over the 4x, 2x and 1x grids, a step of the imaging model, and a refinement.

    The estimates of stage 2 enter on the 8x grid, moments and encoded frames on the camera's. The
    first output passes through the imaging model. Its discrepancy with the mean image is the step
    of Richardson and Lucy, from which a second, smaller network computes the final output.

    Args:
        width: channels on the 4x grid; 1.5 times as many on the 2x grid, twice on the camera's.
        dropout: share of channels dropped in each block.
        blocks: residual blocks before and after the camera's grid, on each grid; one more after it
            on the 2x grid, twice as many and two more on the camera's.
    """

    def __init__(self, width: int = 32, dropout: float = DROPOUT, blocks: int = 1) -> None:
        super().__init__()
        self.settings = {"width": width, "dropout": dropout, "blocks": blocks}
        middle, deep = width * 3 // 2, width * 2

        def some_blocks(channels: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(_Block(channels, dropout) for _ in range(count)))

        self.encoder = _FrameEncoder()
        self.stem_camera = nn.Conv2d(CAMERA_CHANNELS + 2 * ENCODED, deep, 3, padding=1)
        self.stem_fine = nn.Conv2d(8 * ESTIMATES, width, 3, padding=1)
        self.down_2x = nn.Conv2d(4 * width, middle, 1)
        self.in_2x = some_blocks(middle, blocks)
        self.down_1x = nn.Conv2d(4 * middle, deep, 1)
        self.in_1x = some_blocks(deep, 2 + 2 * blocks)
        self.up_2x = nn.Conv2d(deep, 4 * middle, 1)
        self.out_2x = some_blocks(middle, 1 + blocks)
        self.up_4x = nn.Conv2d(middle, 4 * width, 1)
        self.out_4x = some_blocks(width, blocks)
        self.first = _Head(width)
        self.join = nn.Conv2d(width + 16, width, 3, padding=1)
        self.refine = some_blocks(width, blocks)
        self.last = _Head(width)
        self.head_2x = nn.Conv2d(middle, 1, 3, padding=1)
        self.head_4x = nn.Conv2d(width, 1, 3, padding=1)
        facts = deep + CAMERA_CHANNELS + 1
        self.brightness = nn.Sequential(nn.Linear(facts, deep), nn.ReLU(), nn.Linear(deep, 1))

    def forward(self, features: Features) -> Structure:
        """Structure of every field of a batch."""
        fine = Imaging.crop(features.padded)
        camera = torch.cat([features.camera, self.encoder(features.frames)], dim=1)
        a = self.stem_fine(pixel_unshuffle(torch.cat([fine, fine.sqrt()], dim=1), 2)).relu()
        b = self.in_2x(self.down_2x(pixel_unshuffle(a, 2)))
        c = self.in_1x(self.down_1x(pixel_unshuffle(b, 2)) + self.stem_camera(camera))
        b = self.out_2x(b + pixel_shuffle(self.up_2x(c), 2))
        a = self.out_4x(a + pixel_shuffle(self.up_4x(b), 2))
        first, _ = self.first(a, fine)
        ratio = imaging_ratio(first, features)
        asked = torch.stack([first, first * ratio, ratio.clamp(0, 4) - 1, fine[:, 1]], dim=1)
        light, occupied = self.last(
            self.refine(self.join(torch.cat([a, pixel_unshuffle(asked, 2)], dim=1))), fine
        )
        return Structure(
            light=light,
            first=first,
            light_4x=4 * softplus(self.head_4x(a)[:, 0].float() - 2.0),
            light_2x=16 * softplus(self.head_2x(b)[:, 0].float() - 2.0),
            occupied=occupied,
            log_brightness=self._log_brightness(c, features),
        )

    def _log_brightness(self, deep: Tensor, features: Features) -> Tensor:
        """Electrons of a pulse, known from stage 2, times a factor inferred from the blinking."""
        signal = features.camera[:, :1].clamp(min=0)
        weight = signal / signal.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
        maps = torch.cat([deep.float(), features.camera], dim=1)
        facts = [(maps * weight).sum(dim=(2, 3)), asymmetry(features)[:, None]]
        log_pulse = features.pulse.log() - features.scale.log()
        return log_pulse + self.brightness(torch.cat(facts, dim=1))[:, 0].float()


def asymmetry(features: Features) -> Tensor:
    """Third cumulant times mean over squared variance, all summed over the field: (B,).

    For fluorophores that emit in a share f of the frames it is proportional to (1 - 2 f) / (1 - f).
    """
    signal = features.mean - features.background
    first, second, third = (
        image.sum(dim=(1, 2)) for image in (signal, features.excess, features.third)
    )
    return (third * first / second.square().clamp(min=1e-9)).clamp(-5, 5)


def imaging_ratio(light: Tensor, features: Features) -> Tensor:
    """The step of Richardson-Lucy: `M'(mean / (M light + background)) / M' 1`, (B, 8H, 8W).

    Outside the field, where the network has no output, the estimate of stage 2 is kept.
    """
    device = light.device.type
    with torch.autocast(device, enabled=False):
        models = features.imaging()
        rows = torch.cat([model.rows for model in models]).to(light.device)
        columns = torch.cat([model.columns for model in models]).to(light.device)
        edge = (features.padded.shape[-1] - light.shape[-1]) // 2
        padded = features.padded[:, 1].float().clone()
        padded[:, edge:-edge, edge:-edge] = light
        expected = rows @ padded @ columns.transpose(1, 2)
        expected = expected + features.background
        ratio = (features.mean / expected.clamp(min=1e-6)).clamp(0, 10)
        inner_rows, inner_columns = rows[:, :, edge:-edge], columns[:, :, edge:-edge]
        back = inner_rows.transpose(1, 2) @ ratio @ inner_columns
        norm = inner_rows.sum(1)[:, :, None] * inner_columns.sum(1)[:, None, :]
        return back / norm.clamp(min=1e-6)
