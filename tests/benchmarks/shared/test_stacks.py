"""Demo stacks are found from any folder."""

import pytest

from bayesdl_sim.benchmarks import demo, real
from bayesdl_sim.benchmarks.scenes.textures import TEXTURES
from bayesdl_sim.benchmarks.shared.stacks import DEMO_STACKS
from bayesdl_sim.figures import control


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("module", [demo, control])
def test_default_stack_and_target_are_found(module):
    args = module.parse_args([])
    assert args.raw.is_file()
    assert args.target.is_file()


def test_real_stacks_and_textures_are_found():
    assert all(stack.path.is_file() for stack in real.STACKS.values())
    assert all(image[0].args[0].is_file() for image in TEXTURES.values())


def test_a_report_names_a_stack_by_its_place_in_the_repository():
    names = [real._name_of(stack.path) for stack in real.STACKS.values()]
    assert names == ["data/cristae/raw.tif", "data/hela/raw.tif"]
    assert DEMO_STACKS.is_absolute()
