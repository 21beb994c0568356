"""The cells that tails are fitted on: the ratio of residual variances, and the choice from it."""

from types import SimpleNamespace

import pytest
import torch

from bayesdl_sim.training import tail_part
from bayesdl_sim.training.tail_part import ratio_of_means
from bayesdl_sim.utils.errors import InputError


def test_ratio_of_means_states_its_own_scatter():
    generator = torch.Generator().manual_seed(0)
    sizes = {"numerator": (2.0, 80), "denominator": (0.5, 120)}  # mean, draws
    ratios = []
    for _ in range(1500):
        draws = {
            name: (mean * torch.rand(number, generator=generator) ** 2 * 3).tolist()
            for name, (mean, number) in sizes.items()
        }
        ratios.append(ratio_of_means(**draws))
    values, errors = torch.tensor(ratios).T
    assert values.mean().item() == pytest.approx(4.0, rel=0.02)
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=0.08)


def test_ratio_of_means_needs_a_spread():
    with pytest.raises(InputError, match="two numbers"):
        ratio_of_means([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("unseen", "part"),
    [(1.0, "train"), (1.05, "train"), (1.5, "validation"), (0.6, "validation")],
)
def test_tail_is_fitted_where_the_residuals_are_those_of_unseen_cells(unseen, part, monkeypatch):
    """Patches differ widely, as real ones do; unseen squares are `unseen` times as large."""
    scale = {"train": 1.0, "validation": unseen**0.5}
    parts = {name: SimpleNamespace(part=name) for name in scale}
    generator = torch.Generator().manual_seed(3)

    def patches(dataset):
        while True:
            size = torch.rand(8, 1, 1, 1, generator=generator) ** 2
            noise = torch.randn(8, 1, 8, 8, generator=generator)
            raw = scale[dataset.part] * size * noise
            yield raw, torch.zeros_like(raw)

    monkeypatch.setattr(tail_part, "to_device", lambda batch, device: batch)
    run = SimpleNamespace(device="cpu", dtype=torch.float32, endless=patches, **parts)
    network = SimpleNamespace(to=lambda device: lambda raw: SimpleNamespace(mean=raw))
    chosen, ratio = tail_part.choose_part(run, network, batches=400)
    assert chosen.part == part
    assert ratio.value == pytest.approx(unseen, rel=0.15)
