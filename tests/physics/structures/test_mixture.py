"""The drawn samples: reproducible, in nanometres, and shaped like what they are named after."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from bayesdl_sim.physics.structures.canvas import Canvas, random_curves, spline_basis
from bayesdl_sim.physics.structures.cells import random_cell
from bayesdl_sim.physics.structures.mixture import KINDS, draw
from bayesdl_sim.physics.structures.puncta import discs, rings
from bayesdl_sim.utils.errors import InputError

torch.set_num_threads(1)
every_kind = pytest.mark.parametrize("kind", KINDS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def canvas_of(rows: int, columns: int, pixel_size_nm: float, seed: int = 0) -> Canvas:
    return Canvas((rows, columns), pixel_size_nm, seeded(seed))


@every_kind
@pytest.mark.parametrize("shape", [(96, 96), (61, 133), (7, 5)])
@pytest.mark.parametrize("density", [0.0, 1.0, None])
def test_density_is_finite_and_not_negative(kind, shape, density):
    for seed in range(3):
        image = draw(kind, shape, 31.3, seeded(seed), density)
        assert image.shape == shape
        assert image.dtype == torch.float32
        assert torch.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() == 1


@every_kind
def test_one_seed_one_image(kind):
    first, again, other = (draw(kind, (80, 90), 40.0, seeded(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@every_kind
def test_global_random_states_are_untouched(kind):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    draw(kind, (64, 64), 31.3, seeded(1))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


@every_kind
def test_higher_density_fills_more(kind):
    filled = [
        sum(
            float((draw(kind, (256, 256), 31.3, seeded(s), d) > 0).float().mean()) for s in range(8)
        )
        for d in (0.0, 0.35, 0.7, 1.0)
    ]
    assert filled == sorted(filled)
    assert filled[-1] > 2 * filled[0]


@pytest.mark.parametrize("pixel_size_nm", [20.0, 10.0, 5.0])
def test_ring_diameter_is_in_nanometres(pixel_size_nm):
    size = round(600 / pixel_size_nm)
    canvas = canvas_of(size, size, pixel_size_nm)
    one = torch.ones(1)
    image = rings(canvas, torch.tensor([[300.0, 300.0]]), 140 * one, one, one).double()
    at = (torch.arange(size) + 0.5) * pixel_size_nm - 300.0
    radius = torch.hypot(at[:, None], at[None, :])
    diameter = 2 * float((image * radius).sum() / image.sum())
    assert diameter == pytest.approx(140 * 0.9, rel=0.1)  # labels lie up to the rim, not beyond
    assert image[size // 2, size // 2] < 0.1 * image.max()


def _median_pit_in_pixels(pixel_size_nm: float) -> float:
    sizes = []
    for seed in range(25):
        image = draw("CCPs", (round(1600 / pixel_size_nm),) * 2, pixel_size_nm, seeded(seed), 0.0)
        near = ndimage.binary_dilation(image.numpy() > 0, iterations=round(30 / pixel_size_nm))
        labels, _ = ndimage.label(near)
        for n, box in enumerate(ndimage.find_objects(labels), 1):
            y, x = np.nonzero((labels[box] == n) & (image.numpy()[box] > 0))
            sizes.append(max(np.ptp(y), np.ptp(x)) + 1)
    return float(np.median(sizes))


def test_halving_the_pixel_doubles_a_pit_in_pixels():
    coarse, fine = _median_pit_in_pixels(10.0), _median_pit_in_pixels(5.0)
    assert 50 <= 5 * fine <= 180
    assert fine / coarse == pytest.approx(2.0, rel=0.2)


def test_points_keep_their_weight_and_sub_pixel_place():
    canvas = canvas_of(21, 33, 40.0)
    y, x = torch.tensor([313.0]), torch.tensor([777.7])
    image = canvas.splat(y, x, torch.tensor([2.5]))
    rows = (torch.arange(21) + 0.5) * 40.0
    columns = (torch.arange(33) + 0.5) * 40.0
    assert float(image.sum()) == pytest.approx(2.5)
    assert float((image.sum(1) * rows).sum() / 2.5) == pytest.approx(313.0, abs=0.01)
    assert float((image.sum(0) * columns).sum() / 2.5) == pytest.approx(777.7, abs=0.01)


def test_points_outside_the_field_are_dropped():
    canvas = canvas_of(8, 8, 40.0)
    y, x = torch.tensor([-500.0, 160.0, 1e6]), torch.tensor([100.0, 5000.0, -1e6])
    assert not canvas.splat(y, x, torch.ones(3)).any()


def test_disc_has_its_diameter():
    canvas = canvas_of(100, 100, 4.0)
    image = discs(canvas, torch.tensor([[200.0, 200.0]]), torch.tensor([160.0]), torch.ones(1))
    rows = image.sum(1).nonzero().squeeze(1)
    assert float(rows[-1] - rows[0]) * 4.0 == pytest.approx(160.0, abs=20.0)
    assert float(image.sum()) == pytest.approx(1.0, rel=0.05)


def test_curves_forget_their_direction_over_the_persistence_length():
    canvas = canvas_of(10, 10, 30.0)
    n, persistence = 1500, 3000.0
    lengths = torch.full((n,), 6000.0)
    curves = random_curves(
        canvas, torch.zeros(n, 2), torch.zeros(n), lengths, persistence, start_here=True
    )
    for arc in (1000.0, 3000.0, 5000.0):
        there = (curves.arc_nm - arc).abs() < 9.1  # half a step
        measured = float(torch.cos(curves.heading[there]).mean())
        assert measured == pytest.approx(math.exp(-arc / (2 * persistence)), abs=0.05)


def test_curves_pass_through_their_centres_and_have_their_lengths():
    canvas = canvas_of(10, 10, 30.0)
    centres = torch.tensor([[100.0, 200.0], [-4000.0, 9000.0]])
    curves = random_curves(canvas, centres, torch.zeros(2), torch.tensor([900.0, 5400.0]), 1e12)
    for n, length in enumerate((900.0, 5400.0)):
        points = curves.owner == n
        assert float(curves.x_nm[points].mean()) == pytest.approx(float(centres[n, 1]), abs=19.0)
        assert float(curves.x_nm[points].max() - curves.x_nm[points].min()) == pytest.approx(
            length, abs=19.0
        )
        assert float((curves.y_nm[points] - centres[n, 0]).abs().max()) < 1.0


def test_spline_weights_add_up_to_one():
    for offset in (0.0, 0.3, 0.99):
        weights = spline_basis(57, 0.083, offset)
        torch.testing.assert_close(weights.sum(1), torch.ones(57))


def test_random_field_is_standardised():
    field = canvas_of(400, 400, 30.0).field(200.0, 3)
    assert float(field.mean()) == pytest.approx(0.0, abs=0.05)
    assert float(field.std()) == pytest.approx(1.0, abs=0.1)


def test_a_cell_leaves_empty_background_in_some_fields_and_fills_others():
    cells = [random_cell(canvas_of(100, 100, 60.0, seed)) for seed in range(30)]
    covered = [float(cell.outline.mean()) for cell in cells]
    assert 5 < sum(c < 0.9 for c in covered) < 25
    for cell in cells:
        assert cell.outline.min() >= 0
        assert cell.outline.max() <= 1
        assert cell.focus.min() > 0


def test_places_lie_in_the_cell():
    for seed in range(20):
        canvas = canvas_of(100, 120, 60.0, seed)
        cell = random_cell(canvas)
        places = cell.places(canvas, 200, 0.0)
        rows, columns = canvas.pixel(places[:, 0], 0), canvas.pixel(places[:, 1], 1)
        assert len(places) >= 1
        assert (cell.outline[rows, columns] > 0).all()
        assert cell.outline[rows[0], columns[0]] > 0.5


def test_mitochondria_are_not_hollow():
    ratios = []
    for seed in range(16):
        image = draw("Mitochondria", (300, 300), 12.0, seeded(seed), 0.0).numpy()
        depth = ndimage.distance_transform_edt(ndimage.binary_closing(image > 0, iterations=3)) * 12
        core, shell = image[depth > 90], image[(depth > 20) & (depth < 70)]
        ratios.append(core.mean() / shell.mean())
    assert np.median(ratios) > 1
    assert np.min(ratios) > 0.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("actin", (8, 8), 30.0), "F-actin"),
        (("MT", (8, 1), 30.0), "rows"),
        (("MT", (8, 8), 0.0), "pixel size"),
        (("MT", (8, 8), float("nan")), "pixel size"),
    ],
)
def test_bad_requests_are_explained(arguments, words):
    with pytest.raises(InputError, match=words):
        draw(*arguments, seeded())


def test_density_outside_its_range_is_refused():
    with pytest.raises(InputError, match="density"):
        draw("MT", (8, 8), 30.0, seeded(), 1.2)
