"""Files with more than one stack in the usual order: each is chosen, reordered and separated."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.commands.test import main
from bayesdl_sim.data.frame_order import FrameOrder
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders.lock import owned_folder

ROOT = Path(__file__).resolve().parents[3]
CRISTAE = ROOT / "data" / "cristae" / "raw.tif"
SLOW = ("matplotlib", "natsort", "torch._dynamo", "tensorboard", "dask")
PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Two random networks with tails."""
    folder = tmp_path_factory.mktemp("members")
    config = network_config("unet", "gauss", in_channels=9, width=8, levels=2, blocks=1)
    for index in (1, 2):
        network = build_network(config, seed=index)
        with torch.no_grad():
            network.tail.output.weight.normal_(generator=torch.Generator().manual_seed(index))
        sampler = {"kind": "sgld", "temperature": 2.0, "num_data": 1000}
        save_checkpoint(member_path(folder, index), member_payload(network, sampler, {}))
    return folder


@pytest.fixture(scope="module")
def frames():
    """A real stack of clear fringes, whole numbers (9, 96, 96)."""
    return read_stack(CRISTAE).raw[0, :, 10:106, 10:106].astype(np.uint16)


@pytest.fixture
def reconstruct(members, tmp_path, capsys):
    """Runs the command; returns the folder of the results and what was printed."""

    def run(path, *options, folder="out"):
        out = tmp_path / folder
        main(
            ["--test_data", str(path), "--save_path", str(out), "--pretrained_G", str(members)]
            + ["--device", "cpu", "--precision", "fp32", "--force", *options]
        )
        return out, capsys.readouterr().out

    return run


def sr_of(folder):
    return (folder / "SR.tif").read_bytes()


def source_of(folder):
    return json.loads((folder / "prediction.json").read_text())["source"]


def test_frames_are_put_in_the_order_that_the_fringes_prove(reconstruct, tmp_path, frames):
    tifffile.imwrite(tmp_path / "right.tif", frames)
    tifffile.imwrite(tmp_path / "major.tif", frames[PHASE_MAJOR])
    usual, printed = reconstruct(tmp_path / "right.tif", folder="usual")
    assert "order" not in printed
    assert source_of(usual)["put_in_order"] is None
    proved, printed = reconstruct(tmp_path / "major.tif", folder="proved")
    words = "the fringes prove another order (phase,orientation) than the stated one: the frames"
    assert f"{words} are put in the order 1, 4, 7, 2, 5, 8, 3, 6, 9" in printed
    assert source_of(proved)["put_in_order"] == [1, 4, 7, 2, 5, 8, 3, 6, 9]
    assert words in source_of(proved)["read_as"][-1]
    stated, printed = reconstruct(
        tmp_path / "major.tif", "--order", "phase,orientation", folder="stated"
    )
    assert "order" not in printed
    assert sr_of(usual) == sr_of(proved) == sr_of(stated)


def test_colours_have_results_of_their_own(reconstruct, tmp_path, frames):
    other = frames[:, ::-1]
    metadata = {"axes": "CZYX", "Channel": {"Name": ["488", "561"]}}
    tifffile.imwrite(
        tmp_path / "raw.ome.tif", np.stack([frames, other]), ome=True, metadata=metadata
    )
    out, printed = reconstruct(tmp_path / "raw.ome.tif")
    assert sorted(path.name for path in out.glob("[!.]*") if path.is_dir()) == [
        "raw_488",
        "raw_561",
    ]
    assert "axes CZYX 2x9x96x96 read as 2 colours of nine frames" in printed
    assert printed.count("verdict:") == 2
    assert source_of(out / "raw_561")["channel"] == "561"
    tifffile.imwrite(tmp_path / "plain.tif", other)
    plain, _ = reconstruct(tmp_path / "plain.tif", folder="plain")
    assert sr_of(out / "raw_561") == sr_of(plain)
    chosen, _ = reconstruct(tmp_path / "raw.ome.tif", "--channel", "561", folder="chosen")
    assert sr_of(chosen) == sr_of(plain)
    assert source_of(chosen)["channel"] == "561"


def test_every_option_of_the_layout_reaches_the_reader(reconstruct, tmp_path, frames):
    tifffile.imwrite(tmp_path / "plain.tif", frames)
    plain, _ = reconstruct(tmp_path / "plain.tif", folder="plain")
    grid = frames.reshape(3, 3, 96, 96).transpose(0, 2, 1, 3).reshape(288, 288)
    tifffile.imwrite(tmp_path / "mosaic.tif", grid)
    planes = FrameOrder("orientation,phase").triples(np.concatenate([frames]))
    planes = np.stack([planes[:, ::-1], planes], axis=1).reshape(18, 96, 96)
    tifffile.imwrite(tmp_path / "planes.tif", planes)
    tifffile.imwrite(tmp_path / "ten.tif", np.concatenate([frames[:1], frames]))
    for name, options in {
        "mosaic": ["--mosaic", "3x3"],
        "planes": ["--order", "orientation,z,phase", "--plane", "2"],
        "ten": ["--frames", "2-10"],
    }.items():
        out, _ = reconstruct(tmp_path / f"{name}.tif", *options, folder=name)
        assert sr_of(out) == sr_of(plain)
    with pytest.raises(InputError, match="position: .* has positions 1 to 1, found 2"):
        reconstruct(tmp_path / "plain.tif", "--position", "2")


def test_warnings_of_the_file_are_reasons_of_the_verdict(reconstruct, tmp_path, frames):
    size = {"axes": "ZYX", "PhysicalSizeX": 0.065, "PhysicalSizeY": 0.13}
    tifffile.imwrite(tmp_path / "raw.ome.tif", frames, ome=True, metadata=size)
    out, printed = reconstruct(tmp_path / "raw.ome.tif")
    verdict = json.loads((out / "prediction.json").read_text())["verdict"]
    assert any("65 nm wide and 130 nm high" in reason for reason in verdict["reasons"])
    assert verdict["decision"] in ("warn", "refuse")
    assert "pixels are 65 nm wide and 130 nm high" in printed


def test_a_damaged_file_does_not_stop_the_others(reconstruct, tmp_path, frames):
    folder = tmp_path / "stacks"
    folder.mkdir()
    tifffile.imwrite(folder / "good.tif", frames)
    (folder / "bad.tif").write_bytes(b"II*\0")
    (folder / "frames\x1b[2J.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"2 of 3 stacks .*bad.tif.*frames\\x1b\[2J.tif"):
        reconstruct(folder)
    assert (tmp_path / "out" / "good" / "SR.tif").is_file()


def test_a_folder_in_use_is_left_alone_and_its_owner_named(reconstruct, frames, tmp_path):
    tifffile.imwrite(tmp_path / "raw.tif", frames[:, :24, :24])
    out, _ = reconstruct(tmp_path / "raw.tif")
    before = {path.name: path.read_bytes() for path in out.glob("[!.]*")}
    with owned_folder(out), pytest.raises(InputError, match=r"in use by .*\(process \d+ on "):
        reconstruct(tmp_path / "raw.tif")
    assert {path.name: path.read_bytes() for path in out.glob("[!.]*")} == before


def test_what_a_killed_run_left_is_removed_by_the_next(reconstruct, frames, tmp_path):
    tifffile.imwrite(tmp_path / "raw.tif", frames[:, :24, :24])
    left = tmp_path / "out" / ".result.0123.partial"
    left.mkdir(parents=True)
    (left / "SR.tif").write_bytes(b"half")
    out, _ = reconstruct(tmp_path / "raw.tif")
    assert not left.exists()
    assert sr_of(out) != b"half"


def test_sharp_convention_is_a_file_of_its_own(reconstruct, tmp_path, frames):
    tifffile.imwrite(tmp_path / "raw.tif", frames)
    soft, _ = reconstruct(tmp_path / "raw.tif", folder="soft")
    sharp, _ = reconstruct(tmp_path / "raw.tif", "--apodisation", "sharp", folder="sharp")
    assert not (soft / "Sharp.tif").exists()
    image = tifffile.imread(sharp / "Sharp.tif")
    assert image.dtype == np.float32
    assert image.shape == (192, 192)
    assert sr_of(sharp) == sr_of(soft)  # the verdict and the uncertainties refer to SR


def test_a_run_loads_no_library_that_it_does_not_need(members, frames, tmp_path):
    """Each of them would take as long to load as a network takes for a small field."""
    tifffile.imwrite(tmp_path / "raw.tif", frames)
    options = ["--test_data", str(tmp_path / "raw.tif"), "--save_path", str(tmp_path / "out")]
    code = (
        "import json, sys\n"
        "from bayesdl_sim.commands.test import main\n"
        f"main({[*options, '--pretrained_G', str(members)]!r})\n"
        f"print(json.dumps([name for name in {SLOW!r} if name in sys.modules]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert (tmp_path / "out" / "report.html").is_file()
