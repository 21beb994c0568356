"""Training of the published networks: squared errors first, then with VGG and adversarial terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy, mse_loss

from bayesdl_sim.dlbi.network.paper import Discriminator, PaperGenerator
from bayesdl_sim.dlbi.simulation.scenes import random_scene
from bayesdl_sim.models.dropout import seed_dropout
from bayesdl_sim.utils.checkpoints import save_checkpoint
from bayesdl_sim.utils.console.progress import counted

__all__ = ["PaperSettings", "PaperTraining", "fit_paper", "local_vgg19", "movie_batches"]

VGG_FILE = "vgg19-dcbb9e9d.pth"  # where torchvision stores it, once the user has downloaded it
VGG_LAYERS = 35  # up to the last convolution
MSE_LOW, MSE_HIGH, VGG_WEIGHT, ADVERSARIAL = 0.4, 0.5, 1e-6, 1e-3


@dataclass(frozen=True, kw_only=True)
class PaperSettings:
    """The published training.

    Args:
        frames: of every movie.
        size: camera pixels along a side of the fields.
        width: channels of the generator.
        batch: fields of a step.
        steps_per_epoch: batches that count as an epoch; every field is a new simulation.
        pretraining: epochs with squared errors alone.
        epochs: epochs with all terms.
        learning_rate: of Adam, halved every `halved_every` epochs; beta1 is 0.9.
        seed: of weights, scenes and dropout.
    """

    frames: int = 200
    size: int = 60
    width: int = 64
    batch: int = 8
    steps_per_epoch: int = 1000
    pretraining: int = 2
    epochs: int = 40
    learning_rate: float = 1e-4
    halved_every: int = 10
    seed: int = 0


class PaperTraining:
    """Generator, discriminator and one step of either phase."""

    def __init__(self, settings: PaperSettings, device: torch.device) -> None:
        self.settings, self.device, self.step_number = settings, device, 0
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            generator = PaperGenerator(settings.frames, settings.width)
            discriminator = Discriminator(settings.width)
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        rate, betas = settings.learning_rate, (0.9, 0.999)
        self.adam = torch.optim.Adam(self.generator.parameters(), rate, betas)
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), rate, betas)
        self.vgg = local_vgg19()
        if self.vgg is not None:
            self.vgg.to(device)

    def start_epoch(self, epoch: int) -> None:
        """Sets the learning rate of an epoch, counted from 0 over both phases."""
        rate = self.settings.learning_rate * 0.5 ** (epoch // self.settings.halved_every)
        for adam in (self.adam, self.adam_d):
            for group in adam.param_groups:
                group["lr"] = rate

    def pretrain_step(self, movie: Tensor, target: Tensor) -> float:
        """Squared errors at all three scales; returns their sum."""
        images = self._images(movie)
        loss = sum(
            mse_loss(image, goal) for image, goal in zip(images, scales(target), strict=True)
        )
        self._descend(self.adam, loss)
        return float(loss.detach())

    def adversarial_step(self, movie: Tensor, target: Tensor) -> tuple[float, float]:
        """All terms; returns the losses of generator and discriminator.

        2x and 4x: 0.4 MSE + 1e-6 VGG; 8x: 0.5 MSE + 1e-3 adversarial + 1e-6 VGG.
        """
        images, goals = self._images(movie), scales(target)
        ones = torch.ones(len(movie), device=self.device)
        real = self.discriminator(target)
        fake = self.discriminator(images[-1].detach())
        judging = binary_cross_entropy(real, ones) + binary_cross_entropy(fake, 0 * ones)
        self._descend(self.adam_d, judging)
        loss = MSE_HIGH * mse_loss(images[-1], goals[-1])
        loss = loss + ADVERSARIAL * binary_cross_entropy(self.discriminator(images[-1]), ones)
        loss = loss + sum(
            MSE_LOW * mse_loss(image, goal)
            for image, goal in zip(images[:2], goals[:2], strict=True)
        )
        if self.vgg is not None:
            pairs = zip(images, goals, strict=True)
            loss = loss + VGG_WEIGHT * sum(self._vgg_error(image, goal) for image, goal in pairs)
        self._descend(self.adam, loss)
        return float(loss.detach()), float(judging.detach())

    def _images(self, movie: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seed_dropout(self.generator, self.settings.seed, self.step_number)
        self.step_number += 1
        return self.generator.train()(movie)

    def _vgg_error(self, image: Tensor, goal: Tensor) -> Tensor:
        return mse_loss(*(self.vgg(picture.expand(-1, 3, -1, -1)) for picture in (image, goal)))

    @staticmethod
    def _descend(adam: torch.optim.Optimizer, loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()
        adam.step()


def scales(target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The target (B, 1, 8H, 8W) on the 2x, 4x and 8x grids, as means over blocks."""
    return avg_pool2d(target, 4), avg_pool2d(target, 2), target


def local_vgg19() -> nn.Module | None:
    """VGG19 with the weights that torchvision has kept on this computer; None without them.

    Nothing is downloaded.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
    if not path.is_file():
        return None
    from torchvision.models import vgg19  # slow to import, and used here only

    network = vgg19()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.features[:VGG_LAYERS].eval().requires_grad_(False)


def movie_batches(settings: PaperSettings, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of one epoch: movies (B, T, H, W) scaled to [0, 1], structures (B, 1, 8H, 8W)."""
    generator = torch.Generator().manual_seed(settings.seed * 100003 + epoch)
    for _ in range(settings.steps_per_epoch):
        movies, targets = [], []
        for _ in range(settings.batch):
            scene = random_scene((settings.size, settings.size), generator, settings.frames)
            counts = scene.movie.counts
            low, high = counts.min(), counts.max()
            movies.append((counts - low) / (high - low).clamp(min=1))
            fluorophores = scene.movie.fluorophores
            targets.append(fluorophores[None] / fluorophores.max().clamp(min=1))
        yield torch.stack(movies), torch.stack(targets)


def fit_paper(settings: PaperSettings, folder: Path, device: torch.device) -> Path:
    """Trains as published and writes the generator."""
    training = PaperTraining(settings, device)
    if training.vgg is None:
        print(f"VGG19 has no weights here ({VGG_FILE}): its term is left out")
    path = folder / "generator.pth"
    for epoch in range(settings.pretraining + settings.epochs):
        training.start_epoch(epoch)
        batches = movie_batches(settings, epoch)
        for movie, target in counted(
            batches, f"epoch {epoch + 1}", settings.steps_per_epoch, unit="step"
        ):
            movie, target = movie.to(device), target.to(device)
            if epoch < settings.pretraining:
                training.pretrain_step(movie, target)
            else:
                training.adversarial_step(movie, target)
        state = {name: value.cpu() for name, value in training.generator.state_dict().items()}
        payload = {
            "format": "BayesDL-SIM DLBI generator",
            "network": {"generator": "paper", **training.generator.settings},
            "training": {**asdict(settings), "epoch": epoch + 1, "vgg": training.vgg is not None},
            "state": state,
        }
        save_checkpoint(path, payload)
    return path
