"""A student begins as the members that it starts from, and stays as local as they are."""

import pytest
import torch

from bayesdl_sim.models.bayesdl import Member, build_network, network_config
from bayesdl_sim.models.fields.tiling import predict_tiled
from bayesdl_sim.models.shipped import STUDENT_FOLDER, student_folder
from bayesdl_sim.training.distillation.start import as_student
from bayesdl_sim.utils.errors import InputError

SMALL = {"width": 4, "levels": 2, "blocks": 1}


def member(seed=1, likelihood="gauss", backbone="unet", **options):
    network = build_network(network_config(backbone, likelihood, **(options or SMALL)), seed)
    if likelihood and backbone == "unet":
        with torch.no_grad():
            network.tail.output.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return Member(network.eval(), {}, {})


@pytest.fixture
def raw():
    return torch.rand((1, 9, 40, 44), generator=torch.Generator().manual_seed(0))


def test_it_begins_with_the_mean_and_the_noise_of_its_member(raw):
    start = member()
    mean, log_var = start.network(raw)
    student_mean, parameters = as_student([start]).eval()(raw)
    assert torch.equal(student_mean, mean)
    torch.testing.assert_close(parameters[:, :1], log_var)
    assert torch.equal(parameters[:, 1:], torch.full_like(mean, -9.0))  # the middle of its range


def test_it_begins_with_the_mean_weights_of_several(raw):
    first, second = member(1), member(2)
    state = as_student([first, second]).state_dict()
    name = "trunk.head.weight"
    pair = [m.network.state_dict()[name] for m in (first, second)]
    torch.testing.assert_close(state[name], (pair[0] + pair[1]) / 2)
    assert state["tail.output.weight"].shape[0] == 2


def test_its_uncertainties_move_its_trunk(raw):
    student = as_student([member()])
    with torch.no_grad():
        student.tail.output.weight.normal_(generator=torch.Generator().manual_seed(3))
    student(raw).log_var[:, 1].sum().backward()
    assert student.trunk.head.weight.grad.abs().max() > 0


def test_tiles_equal_the_field(raw):
    student = as_student([member()]).eval()
    with torch.no_grad():
        student.tail.output.weight.normal_(generator=torch.Generator().manual_seed(3))
        whole, tiles = student(raw), predict_tiled(student, raw, 24)
    assert student.is_local
    torch.testing.assert_close(tiles.mean, whole.mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(tiles.log_var, whole.log_var, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "start",
    [
        member(likelihood=""),
        member(likelihood="laplace"),
        member(backbone="rcan", width=4, groups=1, blocks=1),
    ],
)
def test_it_needs_a_local_network_with_a_gaussian_tail(start):
    with pytest.raises(InputError, match="a student starts from a member of the backbone unet"):
        as_student([start])


def test_where_it_lies(tmp_path):
    with pytest.raises(InputError, match="fast: no student in .*bayesdl distil, or leave fast out"):
        student_folder(tmp_path)
    (tmp_path / STUDENT_FOLDER).mkdir()
    assert student_folder(tmp_path) == tmp_path / "student"
