"""Structures from images of any kind and size."""

import imageio.v3 as iio
import numpy as np
import pytest

from bayesdl_sim.dlbi.simulation.images import image_density, list_images
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def disc(tmp_path):
    y, x = np.mgrid[:80, :100]
    picture = np.where(np.hypot(y - 40, x - 50) < 20, 220, 30).astype(np.uint8)
    path = tmp_path / "disc.png"
    iio.imwrite(path, picture)
    return path


@pytest.mark.parametrize("shape", [(80, 100), (160, 160), (40, 90)])
def test_any_shape(disc, shape):
    density = image_density(disc, shape)
    assert density.shape == shape
    assert float(density.max()) == 1
    assert float(density.min()) == 0


def test_the_structure_is_the_edge(disc):
    density = image_density(disc, (80, 100)).numpy()
    y, x = np.nonzero(density > 0.5)
    radius = np.hypot(y - 40, x - 50)
    assert np.all(np.abs(radius - 20) < 4)
    assert (density > 0).mean() < 0.2


def test_colour_and_depth_do_not_matter(disc, tmp_path):
    grey = iio.imread(disc)
    iio.imwrite(tmp_path / "colour.png", np.stack([grey] * 3, axis=2))
    iio.imwrite(tmp_path / "deep.tif", grey.astype(np.uint16) * 100)
    expected = image_density(disc, (80, 100)).numpy()
    for name in ("colour.png", "deep.tif"):
        np.testing.assert_allclose(image_density(tmp_path / name, (80, 100)), expected, atol=1e-5)


def test_images_of_a_folder_in_order(disc):
    iio.imwrite(disc.with_name("a.png"), iio.imread(disc))
    disc.with_name("notes.txt").write_text("no image")
    assert [path.name for path in list_images(disc.parent)] == ["a.png", "disc.png"]


def test_a_file_that_is_no_image(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match="cannot be read as an image"):
        image_density(tmp_path / "broken.png", (40, 40))


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        list_images(tmp_path / "nowhere")
