"""Wide microscopes reach past the ordinary ones, and what they add obeys the physics."""

import math

import pytest
import torch

from bayesdl_sim.physics.image_formation import grid_for, lit_median, target_image
from bayesdl_sim.physics.sensor.camera import Camera, expose
from bayesdl_sim.physics.wide_microscopes import (
    WideMicroscope,
    camera_maps,
    uneven_density,
    uneven_frames,
    wide_microscope,
)

torch.set_num_threads(1)
GRID = grid_for((32, 40))
DRAWS = 300


@pytest.fixture(scope="module")
def stands():
    generator = torch.Generator().manual_seed(4)
    return [wide_microscope(generator, [], GRID) for _ in range(DRAWS)]


@pytest.fixture(scope="module")
def structure():
    return torch.rand(GRID.shape, generator=torch.Generator().manual_seed(1))


def steps_off(stand):
    """Largest deviation of a phase step from 120 degrees, in rad."""
    wrong = []
    for steps in stand.microscope.illumination.phase:
        turn = [math.remainder(steps[p + 1] - steps[p], 2 * math.pi) for p in range(2)]
        wrong += [abs(abs(t) - 2 * math.pi / 3) for t in turn]
    return max(wrong)


def test_same_generator_same_stand():
    one, again = (wide_microscope(torch.Generator().manual_seed(9), [], GRID) for _ in range(2))
    assert one.microscope == again.microscope
    assert (one.light is None) == (again.light is None)
    if one.light is not None:
        assert torch.equal(one.light, again.light)


def test_every_property_goes_beyond_the_ordinary_in_a_part_of_the_draws(stands):
    microscopes = [stand.microscope for stand in stands]
    beyond = {
        "faint": [sum(m.illumination.modulation) / 3 < 0.1 for m in microscopes],
        "haze": [m.haze_fraction > 0.8 for m in microscopes],
        "tirf": [m.illumination.mean_frequency > 0.99 * m.optics.cutoff for m in microscopes],
        "phases": [steps_off(stand) > 0.2 for stand in stands],
        "light": [stand.light is not None for stand in stands],
        "orientations": [stand.orientation_light is not None for stand in stands],
        "maps": [stand.maps is not None for stand in stands],
    }
    for name, flags in beyond.items():
        assert 0.03 < sum(flags) / DRAWS < 0.5, name


def test_fringes_stay_below_the_limit_of_sampling(stands):
    for stand in stands:
        light = stand.microscope.illumination
        assert max(light.frequency) < 0.45
        assert all(0 < m <= 1 for m in light.modulation)


def test_light_has_mean_one_and_no_fine_detail(stands):
    lights = [stand.light for stand in stands if stand.light is not None]
    for light in lights:
        assert light.shape == GRID.shape
        assert light.mean().item() == pytest.approx(1, abs=1e-4)
        assert light.min() > 0
        assert light.diff(dim=0).abs().max() < 0.1
    assert max((light.max() / light.min()).item() for light in lights) > 2


def test_common_light_shows_in_frames_and_target_alike(stands, structure):
    stand = next(s for s in stands if s.light is not None and s.orientation_light is None)
    flat = WideMicroscope(microscope=stand.microscope)
    lit = uneven_density(structure, stand)
    frames = uneven_frames(lit, stand, GRID).mean(dim=0)
    target = target_image(lit, stand.microscope, GRID)
    plain = uneven_frames(structure, flat, GRID).mean(dim=0)
    plain_target = target_image(structure, stand.microscope, GRID)
    frame_ratio = (frames / plain).flatten()
    target_ratio = torch.nn.functional.avg_pool2d((target / plain_target)[None], 2).flatten()
    assert torch.corrcoef(torch.stack([frame_ratio, target_ratio]))[0, 1] > 0.9


def test_orientations_get_their_own_light(stands, structure):
    stand = next(s for s in stands if s.orientation_light is not None)
    flat = WideMicroscope(microscope=stand.microscope)
    ratio = uneven_frames(structure, stand, GRID) / uneven_frames(structure, flat, GRID)
    for o in range(3):
        measured = ratio[3 * o]
        scale = (measured / stand.orientation_light[o]).mean()
        torch.testing.assert_close(measured, scale * stand.orientation_light[o])
    frames = uneven_frames(structure, stand, GRID)
    assert lit_median(frames.mean(dim=0)).item() == pytest.approx(1, abs=1e-5)


def test_camera_maps_have_the_cameras_mean_and_a_tail_of_hot_pixels():
    camera = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
    maps = camera_maps(camera, (200, 200), torch.Generator().manual_seed(2))
    assert maps.gain.mean().item() == pytest.approx(2.0, rel=0.01)
    assert maps.offset.mean().item() == pytest.approx(100, abs=0.5)
    noise = maps.variance.sqrt()
    assert noise.median().item() == pytest.approx(3.0, rel=0.05)
    assert 0 < (noise > 4 * noise.median()).float().mean().item() < 0.02


def test_counts_of_dark_frames_follow_the_map():
    camera = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
    maps = camera_maps(camera, (40, 40), torch.Generator().manual_seed(3))
    dark = torch.zeros(400, 40, 40)
    counts = expose(dark, camera, torch.Generator().manual_seed(5), maps)
    measured = counts.var(dim=0)
    ratio = measured / (maps.variance + 1 / 12)  # rounding
    assert ratio.median().item() == pytest.approx(1, abs=0.1)
