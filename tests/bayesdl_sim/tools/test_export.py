"""Packages for other programs: what they hold, and that those programs get our numbers."""

import os
import zipfile

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network
from bayesdl_sim.models.fields.poses import UPRIGHT
from bayesdl_sim.tools.export.__main__ import main, parse_args
from bayesdl_sim.tools.export.documents import channel_names, cover_picture, environment, readme
from bayesdl_sim.tools.export.module import OUTPUTS
from bayesdl_sim.tools.export.onnx_network import MemberEnsemble, require_packages
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def members(save_tiny_members, tmp_path_factory):
    return save_tiny_members(tmp_path_factory.mktemp("members"))


@pytest.fixture(scope="module")
def exported(members, tmp_path_factory):
    """The folder that the command wrote, with both files."""
    pytest.importorskip("onnxscript", reason="needs the extra [export]")
    pytest.importorskip("bioimageio.spec", reason="needs the extra [export]")
    folder = tmp_path_factory.mktemp("export")
    where = os.path.relpath(folder)  # as people type it
    main(["--save_path", where, "--pretrained_G", str(members), "--name", "Tiny members"])
    return folder


def networks_of(folder):
    posterior = Posterior.load(folder, "cpu", precision="fp32")
    return posterior, [build_network(posterior.members[0].network) for _ in posterior.members]


def test_the_ensemble_keeps_the_law_of_total_variance(members):
    posterior, networks = networks_of(members)
    generator = torch.Generator().manual_seed(3)
    shown = torch.rand(2, 13, 16, 20, generator=generator)
    expected = predict(networks, shown)
    outputs = MemberEnsemble(networks, "gauss", [UPRIGHT] * len(networks))(shown)
    for name, image in zip(("mean", "aleatoric", "epistemic"), outputs, strict=True):
        torch.testing.assert_close(image, getattr(expected, name))


def test_onnx_runtime_gives_the_members_outputs(exported, members):
    """Other sizes and batches than the traced one, in a program independent of ours."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra [export]")
    session = onnxruntime.InferenceSession(
        str(exported / "network.onnx"), providers=["CPUExecutionProvider"]
    )
    assert [entry.name for entry in session.get_inputs()] == ["shown"]
    posterior = Posterior.load(members, "cpu", precision="fp32")
    for shape in ((1, 13, 24, 40), (3, 13, 48, 16)):
        shown = torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))
        outputs = session.run(["sr", "aleatoric", "epistemic"], {"shown": shown.numpy()})
        expected = predict(posterior.functions, shown)
        for name, image in zip(("mean", "aleatoric", "epistemic"), outputs, strict=True):
            expected_image = getattr(expected, name).numpy()
            np.testing.assert_allclose(image, expected_image, atol=1e-5, err_msg=name)


def test_the_package_holds_what_the_zoo_asks_for(exported):
    with zipfile.ZipFile(exported / "bioimageio-package.zip") as archive:
        names = set(archive.namelist())
        description = archive.read("rdf.yaml").decode()
    expected = {"rdf.yaml", "members.pt", "raw.npy", "cover.png", "README.md", "network.onnx"}
    assert expected | {f"{name}.npy" for name in OUTPUTS} <= names
    for words in (
        "format_version: 0.5",
        "Tiny members",
        "bayesdl_sim.tools.export.module",
        "orientation3_phase2",
        "whole fields",
        "Apache-2.0",
        "10.1038/s41467-025-60093-w",
    ):
        assert words in description
    assert list(exported.glob(".package*")) == []


def test_the_zoo_accepts_the_package_and_gets_its_test_tensors(exported):
    core = pytest.importorskip("bioimageio.core", reason="needs the extra [export]")
    summary = core.test_description(exported / "bioimageio-package.zip")
    assert summary.status == "passed", summary.format()


def test_texts_that_the_format_refuses_are_named(exported, members, tmp_path):
    command = ["--save_path", str(tmp_path), "--pretrained_G", str(members), "--formats", "zoo"]
    with pytest.raises(InputError, match="export: name: .*choose another text"):
        main([*command, "--name", "x"])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_extra():
    with pytest.raises(InputError, match=r"needs zoolib: python -m pip install .*\[export\]"):
        require_packages({"no_such_module.inner": "zoolib", "numpy": "numpy"})


def test_cover_shows_both_images_two_to_one(tmp_path):
    from matplotlib.image import imread

    ramp = np.linspace(0, 1, 32 * 40).reshape(32, 40)
    path = cover_picture(tmp_path / "cover.png", ramp, np.kron(ramp, np.ones((2, 2))))
    picture = imread(path)
    assert picture.shape[1] == 2 * picture.shape[0]
    grey, coloured = np.split(picture[..., :3], 2, axis=1)
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.ptp(coloured, axis=-1).max() > 0.3
    assert path.stat().st_size < 500_000


def test_texts_name_frames_outputs_and_versions():
    assert channel_names()[5] == "orientation 2, phase 3"
    text = readme("Mine", 8, "0.5.0", ["fitted on 9 cells"], with_onnx=False)
    assert "- fitted on 9 cells\n" in text
    assert "never tiles" in text
    assert "network.onnx" not in text
    assert all(f"`{name}`" in text for name in OUTPUTS)
    assert "network.onnx" in readme("Mine", 8, "0.5.0", [], with_onnx=True)
    assert "bayesdl-sim==0.5.0" in environment("0.5.0", "2.13.0")


def test_one_member_is_refused_on_the_command_line(tmp_path):
    with pytest.raises(InputError, match="at least 2"):
        parse_args(["--save_path", str(tmp_path), "--members", "1"])


def test_a_file_instead_of_a_folder_is_named_before_anything_is_loaded(tmp_path):
    path = tmp_path / "small.tif"
    path.write_bytes(b"")
    words = ["--save_path", str(path), "--pretrained_G", "nowhere"]
    with pytest.raises(InputError, match="expected a folder, found the file .*small.tif"):
        main(words)
