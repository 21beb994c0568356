"""test.py from files to files: any stack, exact tiles, streamed members, honest errors."""

import gc
import importlib
import json
import re
import runpy
import subprocess
import sys
import weakref
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
import torch
from matplotlib.image import imread
from scipy import special
from scipy.ndimage import gaussian_filter, shift

import bayesdl_sim.models.members
from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.models.members import open_members
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.files import sha256

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 37, 50  # odd and not square
OTF = ROOT / "data" / "OTF" / "TIRF488_cam1_0_z30_OTF2d.mrc"
PIXEL_NM = 65.0
PICTURES = [
    "SR.png",
    "Aleatoric.png",
    "Epistemic.png",
    "Overview.png",
    "Credibility.png",
    "Informed.png",
]


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def script():
    """The script's `main`; by path, since `import test` is the standard library's."""
    return runpy.run_path(str(ROOT / "test.py"))["main"]


@pytest.fixture(scope="session")
def posterior(tmp_path_factory):
    """Three members with tails."""
    folder = tmp_path_factory.mktemp("posterior")
    save_members(folder, 3)
    return folder


def save_members(folder, count, likelihood="gauss", width=8, spread=None, first=1, frames=9):
    """Random networks; with `spread`, all near one network instead of independent."""
    config = network_config("unet", likelihood, in_channels=frames, width=width, levels=2, blocks=1)
    for index in range(first, first + count):
        network = build_network(config, seed=0 if spread else index)
        generator = torch.Generator().manual_seed(index)
        with torch.no_grad():
            if network.tail is not None:
                network.tail.output.weight.normal_(generator=generator)
            for weight in network.trunk.parameters() if spread else ():
                weight += spread * torch.randn(weight.shape, generator=generator)
        sampler = {"kind": "sgld", "temperature": 2.0, "num_data": 1000}
        payload = member_payload(network, sampler, {"sample": "F-actin"})
        save_checkpoint(member_path(folder, index), payload)


def counts(seed=0, size=(HEIGHT, WIDTH), signal=400.0):
    """Camera counts (9, H, W) uint16 of a smooth structure."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.random((9, *size)), (0, 2, 2))
    field = (field - field.min()) / (field.max() - field.min())
    return (rng.poisson(signal * field) + 100).astype(np.uint16)


def write_tiff(path, frames, pixel_size_nm=PIXEL_NM):
    resolution = {} if pixel_size_nm is None else {"resolution": (1000 / pixel_size_nm,) * 2}
    metadata = {} if pixel_size_nm is None else {"unit": "um"}
    tifffile.imwrite(path, frames, imagej=True, metadata=metadata, **resolution)
    return path


def shell(*arguments):
    """The script as a person runs it."""
    command = [sys.executable, "test.py", "--device", "cpu", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def call(script, posterior, *arguments, precision="fp32"):
    """The script in this process."""
    options = ["--pretrained_G", posterior, "--precision", precision, "--device", "cpu"]
    script([str(word) for word in [*arguments, *options]])


def fails(script, capsys, posterior, *arguments):
    """The one line with which the script gives up."""
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: call(script, posterior, *arguments))
    assert ended.value.code == 2
    return only_line(capsys.readouterr().err)


def only_line(stderr):
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr
    return stderr


def prediction_of(posterior, frames, **options):
    norm = normalisation_of(frames)
    raw = torch.from_numpy(norm.apply(frames))[None]
    return predict([member.function for member in open_members(posterior, **options)], raw), norm


# --- Tiles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(97, 131), (64, 100), (65, 40), (33, 96)])
def test_tiles_equal_the_whole_field(posterior, size):
    frames = counts(size=size)
    whole, _ = prediction_of(posterior, frames)
    tiled, _ = prediction_of(posterior, frames, tile=32)
    full_scale = (whole.mean.max() - whole.mean.min()).item()
    for name in whole._fields:
        expected, estimate = getattr(whole, name), getattr(tiled, name)
        assert estimate.shape == (1, 1, 2 * size[0], 2 * size[1])
        assert (expected - estimate).abs().max().item() < 1e-4 * full_scale  # the bar is 1e-3


def test_tiles_are_scaled_by_the_whole_field(script, posterior, tmp_path):
    """A bright corner must not darken the tile that it lies in."""
    frames = counts(size=(70, 90))
    frames[:, :20, :20] *= 5
    path = write_tiff(tmp_path / "bright.tif", frames)
    for tile in (32, 512):
        words = ["--test_data", path, "--save_path", tmp_path / f"{tile}", "--tile", tile]
        call(script, posterior, *words)
    small, large = (
        tifffile.imread(tmp_path / f"{tile}" / "SR.tif").astype(float) for tile in (32, 512)
    )
    assert np.abs(small - large).max() <= 1e-3 * 65535


# --- Members -------------------------------------------------------------------------------------


@pytest.fixture
def loaded(monkeypatch):
    """Names of the members that were loaded so far; only one that is not held may be alive."""
    names, alive = [], []
    real = bayesdl_sim.models.members.load_member

    def watched(path, device, content):
        gc.collect()
        names.append((path.name, sum(ref() is not None for ref in alive)))
        member = real(path, device, content)
        alive.append(weakref.ref(member.network))
        return member

    monkeypatch.setattr(bayesdl_sim.models.members, "load_member", watched)
    return names


def test_held_members_are_loaded_once(posterior, loaded):
    functions = [member.function for member in open_members(posterior)]
    raw = torch.rand(1, 9, 20, 20, generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        predict(functions, raw)
    assert loaded == [("member_01.pth", 0), ("member_02.pth", 1), ("member_03.pth", 2)]


def test_members_beyond_the_memory_are_read_one_at_a_time(posterior, loaded):
    raw = torch.rand(1, 9, 20, 20, generator=torch.Generator().manual_seed(1))
    expected = predict([member.function for member in open_members(posterior)], raw)
    loaded.clear()
    size = (posterior / "member_01.pth").stat().st_size
    opened = open_members(posterior, held_bytes=1.5 * size)
    loaded.clear()
    prediction = predict([member.function for member in opened], raw)
    assert [name for name, _ in loaded] == ["member_02.pth", "member_03.pth"]
    assert max(alive for _, alive in loaded) == 1  # the one that is held
    assert torch.equal(prediction.mean, expected.mean)
    assert torch.equal(prediction.total, expected.total)


def test_members_that_change_while_in_use(tmp_path):
    """Held ones stay what was hashed; others are refused, and never missing without a word."""
    save_members(tmp_path, 2)
    raw = torch.rand(1, 9, 20, 20, generator=torch.Generator().manual_seed(1))
    held, read = open_members(tmp_path), open_members(tmp_path, held_bytes=0)
    expected = held[1].function(raw).mean
    save_members(tmp_path, 1, first=2, spread=0.1)  # another network under the same name
    assert torch.equal(held[1].function(raw).mean, expected)
    with pytest.raises(InputError, match=r"member_02.pth was replaced while it was in use"):
        read[1].function(raw)
    (tmp_path / "member_02.pth").unlink()
    assert torch.equal(held[1].function(raw).mean, expected)
    with pytest.raises(InputError, match=r"no file .*member_02.pth"):
        read[1].function(raw)


def test_the_hash_is_that_of_the_loaded_bytes(posterior, monkeypatch):
    """One file read per member: nothing can change between the hash and the network."""
    reads = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path.name) or real(path))
    facts = [member.facts for member in open_members(posterior)]
    assert reads == [fact.path.name for fact in facts]
    assert [fact.sha256 for fact in facts] == [sha256(fact.path) for fact in facts]


def test_fewer_members_are_the_first_ones(posterior):
    frames = counts()
    two, _ = prediction_of(posterior, frames, limit=2)
    functions = [member.function for member in open_members(posterior)][:2]
    expected = predict(functions, torch.from_numpy(normalisation_of(frames).apply(frames))[None])
    assert torch.equal(two.mean, expected.mean)
    assert torch.equal(two.epistemic, expected.epistemic)


def test_description_of_the_members(posterior):
    facts = [member.facts for member in open_members(posterior, limit=2)]
    assert [fact.path.name for fact in facts] == ["member_01.pth", "member_02.pth"]
    assert facts[1].sha256 == sha256(facts[1].path)
    assert facts[0].sampler["temperature"] == 2.0
    assert facts[0].network["options"]["width"] == 8


@pytest.mark.parametrize("limit", [0, -1, 4])
def test_too_many_or_too_few_members(posterior, limit):
    with pytest.raises(InputError, match="holds 3 member"):
        [member.function for member in open_members(posterior, limit=limit)]


def test_networks_of_two_runs_are_not_one_posterior(tmp_path):
    save_members(tmp_path, 1)
    save_members(tmp_path, 1, width=4, first=2)
    with pytest.raises(InputError, match=r"member_02.pth holds a unet .*width 4.*width 8"):
        [member.facts for member in open_members(tmp_path)]
    save_members(tmp_path, 1, likelihood="", first=2)
    with pytest.raises(InputError, match="no uncertainty tail"):
        [member.facts for member in open_members(tmp_path)]


def test_network_for_another_number_of_frames(script, tmp_path):
    save_members(tmp_path, 1, frames=15)
    write_tiff(tmp_path / "stack.tif", counts())
    with pytest.raises(InputError, match="15 input channels"):
        call(script, tmp_path, "--test_data", tmp_path / "stack.tif", "--save_path", tmp_path)


def test_bf16_hardly_changes_the_epistemic_uncertainty(tmp_path):
    """The rounding of bf16 must not pass for disagreement: under 5 % at a spread of about 3e-3."""
    save_members(tmp_path, 5, width=16, spread=2e-3)
    frames = counts(size=(64, 64))
    exact, _ = prediction_of(tmp_path, frames)
    rounded, _ = prediction_of(tmp_path, frames, dtype=torch.bfloat16)
    assert rounded.mean.dtype == torch.float32
    assert 1e-3 < exact.epistemic.mean().item() < 1e-2
    assert rounded.epistemic.mean().item() == pytest.approx(exact.epistemic.mean().item(), rel=0.05)
    assert (rounded.mean - exact.mean).abs().max().item() < 5e-3


# --- From files to files -------------------------------------------------------------------------


def test_one_tiff_from_the_shell(posterior, tmp_path):
    frames = counts()
    path = write_tiff(tmp_path / "cell.tif", frames)
    results = tmp_path / "deep" / "results"
    words = ["--test_data", path, "--pretrained_G", posterior, "--save_path", results]
    done = shell(*words, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress bar where nobody watches
    for words in ("3 members", "temperature 2", "9 frames of 37x50 px", "65 nm", str(results)):
        assert words in done.stdout

    check_maps(results, posterior, frames)
    check_channels(results)
    check_pictures(results)
    check_provenance(results, posterior)


def check_maps(results, posterior, frames):
    prediction, norm = prediction_of(posterior, frames)
    sr, sr_pixel = read_tiff(results / "SR.tif")
    assert sr.dtype == np.uint16
    assert sr.shape == (1, 2 * HEIGHT, 2 * WIDTH)
    assert (sr.min(), sr.max()) == (0, 65535)
    assert sr_pixel == pytest.approx(PIXEL_NM / 2, rel=1e-5)
    facts = json.loads((results / "prediction.json").read_text())
    low, high = (facts["normalisation"]["sr_counts"][key] for key in ("low", "high"))
    # Back to counts, as prediction.json says.
    expected = norm.invert(prediction.mean[0].numpy())
    np.testing.assert_allclose(low + (high - low) * sr / 65535, expected, atol=1e-4 * (high - low))
    for name in ("Aleatoric", "Epistemic"):
        image, pixel = read_tiff(results / f"{name}.tif")
        assert image.dtype == np.float32
        assert pixel == pytest.approx(PIXEL_NM / 2, rel=1e-5)
        expected = norm.scale * getattr(prediction, name.lower())[0].numpy()
        np.testing.assert_allclose((high - low) * image, expected, rtol=1e-3, atol=1e-4)


def check_channels(results):
    with tifffile.TiffFile(results / "Channels.ome.tif") as file:
        assert file.series[0].axes == "CYX"
        channels = file.asarray()
        for name in ("SR", "Aleatoric", "Epistemic", "Total", "Credibility"):
            assert f'Name="{name}"' in file.ome_metadata
    assert channels.dtype == np.float32
    assert read_tiff(results / "Channels.ome.tif")[1] == pytest.approx(PIXEL_NM / 2, rel=1e-5)
    sr, aleatoric, epistemic, total, credible = channels
    tolerance = 0.13 * np.ptp(np.percentile(sr, (0.5, 99.5)))
    np.testing.assert_allclose(credible, special.erf(tolerance / np.sqrt(2) / total), atol=1e-5)
    np.testing.assert_array_equal(credible, tifffile.imread(results / "Credibility.tif"))
    np.testing.assert_allclose(total**2, aleatoric**2 + epistemic**2, rtol=1e-4)
    np.testing.assert_array_equal(epistemic, tifffile.imread(results / "Epistemic.tif"))


def check_pictures(results):
    for name in PICTURES:
        picture = imread(results / name)
        assert picture.shape[0] > 300
        assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 50
    height, width = imread(results / "Overview.png").shape[:2]
    assert width > 3 * height


def check_provenance(results, posterior):
    facts = json.loads((results / "prediction.json").read_text())
    assert facts["source"]["file"] == "cell.tif"
    assert facts["source"]["raw_pixel_size_nm"] == pytest.approx(PIXEL_NM, rel=1e-5)
    assert facts["checkpoint"]["folder"] == posterior.name
    members = facts["checkpoint"]["members"]
    assert [member["sha256"] for member in members] == [
        sha256(member_path(posterior, index)) for index in (1, 2, 3)
    ]
    assert members[0]["sampler"]["temperature"] == 2.0
    assert facts["run"] == {"device": "cpu", "precision": "fp32", "tile": 512} | {
        "threads": facts["run"]["threads"]
    }
    assert facts["run"]["threads"] >= 1
    assert facts["provenance"]["torch"] == torch.__version__
    assert facts["not_modelled"] == []


def test_exceedance_and_draws_are_channels(script, posterior, tmp_path):
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    results = []
    for name in ("a", "b"):
        trust = ["--exceed", 0.5, "--draws", 2, "--delta", 0.1]
        call(script, posterior, "--test_data", path, "--save_path", tmp_path / name, *trust)
        facts = json.loads((tmp_path / name / "prediction.json").read_text())
        assert facts["channels"][-4:] == ["Credibility", "Exceedance", "Draw 1", "Draw 2"]
        assert facts["delta"] == 0.1
        channels = tifffile.imread(tmp_path / name / "Channels.ome.tif")
        results.append(dict(zip(facts["channels"], channels, strict=True)))
    maps = results[0]
    above = special.ndtr((maps["SR"] - 0.5) / maps["Total"])
    np.testing.assert_allclose(maps["Exceedance"], above, atol=1e-5)
    z = (maps["Draw 1"] - maps["SR"]) / maps["Total"]
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1, abs=0.1)
    for name, image in maps.items():  # the same stack, the same files
        np.testing.assert_array_equal(image, results[1][name])


@pytest.mark.parametrize(("flag", "value"), [("--delta", 0), ("--draws", -1)])
def test_impossible_trust_is_refused(script, posterior, tmp_path, capsys, flag, value):
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    words = ["--test_data", path, "--save_path", tmp_path / "out", flag, value]
    line = fails(script, capsys, posterior, *words)
    assert f"{flag[2:]}: expected" in line


def test_mrc_and_nine_frames_give_what_the_tiff_gives(script, posterior, tmp_path):
    frames = counts()
    sources = {"tiff": write_tiff(tmp_path / "cell.tif", frames), "mrc": tmp_path / "cell.mrc"}
    with mrcfile.new(sources["mrc"]) as file:
        file.set_data(frames)
        file.voxel_size = PIXEL_NM / 1000
    sources["folder"] = tmp_path / "frames"
    sources["folder"].mkdir()
    for index, frame in enumerate(frames, start=1):
        tifffile.imwrite(sources["folder"] / f"{index}.tif", frame)
    for name, path in sources.items():
        call(script, posterior, "--test_data", path, "--save_path", tmp_path / f"out_{name}")
    results = {name: read_tiff(tmp_path / f"out_{name}" / "SR.tif") for name in sources}
    for name, (sr, pixel) in results.items():
        np.testing.assert_array_equal(sr, results["tiff"][0], name)
        known = None if name == "folder" else pytest.approx(PIXEL_NM / 2, rel=1e-4)
        assert pixel == known


def test_pixel_size_from_the_command_line(script, posterior, tmp_path):
    path = write_tiff(tmp_path / "cell.tif", counts(), pixel_size_nm=None)
    words = ["--test_data", path, "--save_path", tmp_path / "out", "--pixel_size_nm", 80]
    call(script, posterior, *words)
    assert read_tiff(tmp_path / "out" / "SR.tif")[1] == pytest.approx(40, rel=1e-5)


def test_optics_from_the_command_line(script, posterior, tmp_path, capsys):
    path = write_tiff(tmp_path / "cell.tif", counts(), pixel_size_nm=None)
    lens = ("--na", 1.41, "--wavelength_nm", 516)
    arguments = ("--test_data", path, "--save_path", tmp_path / "out", *lens)
    assert "does not state: give pixel_size_nm" in fails(script, capsys, posterior, *arguments)
    call(script, posterior, *arguments, "--pixel_size_nm", 62.6, "--otf", OTF)
    source = json.loads((tmp_path / "out" / "prediction.json").read_text())["source"]
    assert source["optics_given"]["na"] == 1.41
    assert source["optics_given"]["radial_otf"] is True
    assert source["optics_given"]["cutoff"] == pytest.approx(2 * 1.41 / 516 * 62.6)


def test_optics_that_the_file_states(script, posterior, tmp_path, capsys):
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.065, "Channel": {"EmissionWavelength": 525}}
    path = tmp_path / "cell.ome.tif"
    tifffile.imwrite(path, counts(), ome=True, metadata=metadata)
    lens = '<Instrument ID="I:0"><Objective ID="O:0" LensNA="1.4"/></Instrument><Image '
    tifffile.tiffcomment(path, tifffile.tiffcomment(path).replace("<Image ", lens, 1))
    given, stated = {}, {}
    for name, more in {"file": (), "coarse": ("--pixel_size_nm", 130)}.items():
        call(script, posterior, "--test_data", path, "--save_path", tmp_path / name, *more)
        facts = json.loads((tmp_path / name / "prediction.json").read_text())
        given[name], stated[name] = facts["source"]["optics_given"], capsys.readouterr().out
    assert given["file"]["cutoff"] == pytest.approx(2 * 1.4 / 525 * 65)
    assert given["file"]["damping"] < 1  # typical aberrations, not an ideal lens
    assert "the file says NA 1.4 and an emission of 525 nm; used" in stated["file"]
    # A cut-off of 0.69 cycles per pixel: something of it is wrong, and the stack decides alone.
    assert given["coarse"] is None
    assert "emission of 525 nm; not used, since no 2D-SIM stand" in stated["coarse"]


def test_time_series_has_one_intensity_scale(script, posterior, tmp_path):
    """A cell that bleaches gets darker: its time points are not stretched one by one."""
    bright = counts(size=(24, 32))
    series = np.stack([bright, (bright - 100) // 2 + 100, (bright - 100) // 4 + 100])
    path = write_tiff(tmp_path / "series.tif", series.reshape(27, 24, 32))
    results = tmp_path / "out"
    call(script, posterior, "--test_data", path, "--save_path", results)
    with tifffile.TiffFile(results / "SR.tif") as file:
        assert file.series[0].axes == "TYX"
        sr = file.asarray()
    assert sr.shape == (3, 48, 64)
    assert (sr.min(), sr.max()) == (0, 65535)
    with tifffile.TiffFile(results / "Channels.ome.tif") as file:
        assert file.series[0].axes == "TCYX"
        assert file.asarray().shape == (3, 5, 48, 64)
    facts = json.loads((results / "prediction.json").read_text())
    low, high = (facts["normalisation"]["sr_counts"][key] for key in ("low", "high"))
    for t, frames in enumerate(series):
        prediction, norm = prediction_of(posterior, frames)
        expected = norm.invert(prediction.mean[0, 0].numpy())
        intensity = low + (high - low) * sr[t] / 65535
        np.testing.assert_allclose(intensity, expected, atol=1e-4 * (high - low))
    contrast = sr.std(axis=(1, 2))
    assert contrast[1] / contrast[0] == pytest.approx(0.5, rel=0.1)
    assert contrast[2] / contrast[0] == pytest.approx(0.25, rel=0.15)


def test_results_of_the_other_stacks_are_kept(posterior, tmp_path):
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    for name in ("a", "c"):
        write_tiff(stacks / f"{name}.tif", counts(size=(20, 24)))
    write_tiff(stacks / "b.tif", counts(size=(20, 24))[:8])
    (stacks / "d.tif").write_bytes((stacks / "a.tif").read_bytes()[:3000])
    out = tmp_path / "out"
    done = shell("--test_data", stacks, "--pretrained_G", posterior, "--save_path", out)
    assert done.returncode == 2
    line = only_line(done.stderr)
    for words in ("2 of 4 stacks", "b.tif holds 8 images", "d.tif", "truncated"):
        assert words in line
    for name in ("a", "c"):
        assert (tmp_path / "out" / name / "prediction.json").is_file()
    for name in ("b", "d"):  # hidden records of the owner of a folder may stay
        assert list((tmp_path / "out" / name).glob("[!.]*")) == []


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("commands.testing.run.ordered", MemoryError(), "crop it, or split the series"),
        (
            "models.members.predict_tiled",
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 99 bytes"),
            "20x24 px; use a smaller tile",
        ),
        ("inference.reconstruction.write_results", MemoryError(), "crop it, or split the series"),
    ],
)
def test_a_stack_too_large_for_memory_is_named_and_does_not_end_the_folder(
    script, posterior, tmp_path, capsys, monkeypatch, place, error, words
):
    stacks, calls = tmp_path / "stacks", []
    stacks.mkdir()
    for name in ("a", "b", "c"):
        write_tiff(stacks / f"{name}.tif", counts(size=(20, 24)))
    module, name = f"bayesdl_sim.{place}".rsplit(".", 1)
    real = getattr(importlib.import_module(module), name)

    def first_fails(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(importlib.import_module(module), name, first_fails)
    line = fails(script, capsys, posterior, "--test_data", stacks, "--save_path", tmp_path / "out")
    assert "1 of 3 stacks" in line
    assert "a.tif: not enough memory" in line
    assert words in line
    assert (tmp_path / "out" / "b" / "prediction.json").is_file()
    assert (tmp_path / "out" / "c" / "prediction.json").is_file()


def test_stacks_of_one_name_do_not_overwrite_each_other(script, posterior, tmp_path):
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    write_tiff(stacks / "cell.tif", counts(0, (20, 24)))
    write_tiff(stacks / "Cell.tiff", counts(1, (20, 24)))
    call(script, posterior, "--test_data", stacks, "--save_path", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").glob("[!.]*"))
    assert names == ["Cell_tiff", "cell_tif", "summary.csv", "summary.html"]


# --- What the members cannot tell ----------------------------------------------------------------


def test_what_is_not_modelled_is_not_written(script, posterior, tmp_path, capsys):
    plain = tmp_path / "plain"
    plain.mkdir()
    save_members(plain, 2, likelihood="")
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    results = tmp_path / "out"
    call(script, posterior, "--test_data", path, "--save_path", results)
    assert (results / "Aleatoric.tif").is_file()
    call(script, plain, "--test_data", path, "--save_path", results)
    assert "no uncertainty tail" in capsys.readouterr().out
    assert not list(results.glob("Aleatoric*"))  # also none of the run before
    assert not [*results.glob("Credibility*"), *results.glob("Informed*")]
    assert (results / "Epistemic.tif").is_file()
    facts = json.loads((results / "prediction.json").read_text())
    assert facts["channels"] == ["SR", "Epistemic"]
    assert facts["not_modelled"] == ["Aleatoric", "Total"]

    call(script, posterior, "--test_data", path, "--save_path", results, "--members", 1)
    assert "one member shows no spread" in capsys.readouterr().out
    assert not list(results.glob("Epistemic*"))
    assert json.loads((results / "prediction.json").read_text())["channels"] == ["SR", "Aleatoric"]


def test_comparison_with_a_target(script, posterior, tmp_path, capsys):
    frames = counts()
    path = write_tiff(tmp_path / "cell.tif", frames)
    target = gaussian_filter(counts(3, (2 * HEIGHT, 2 * WIDTH))[0].astype(np.float32), 1)
    tifffile.imwrite(tmp_path / "gt.tif", target)
    words = ["--test_data", path, "--target", tmp_path / "gt.tif", "--save_path", tmp_path / "out"]
    call(script, posterior, *words)
    printed = capsys.readouterr().out
    assert "wide field: PSNR" in printed
    assert "SR: PSNR" in printed
    scores = json.loads((tmp_path / "out" / "prediction.json").read_text())["quality"]
    assert set(scores) == {"SR", "wide field"}
    assert all(np.isfinite(list(score.values())).all() for score in scores.values())


def test_comparison_of_a_stack_with_pixels_without_data(script, posterior, tmp_path):
    frames = counts().astype(np.float32)
    frames[:, :6] = np.nan
    path = write_tiff(tmp_path / "cell.tif", frames)
    target = gaussian_filter(counts(3, (2 * HEIGHT, 2 * WIDTH))[0].astype(np.float32), 1)
    tifffile.imwrite(tmp_path / "gt.tif", target)
    words = ["--test_data", path, "--target", tmp_path / "gt.tif", "--save_path", tmp_path / "out"]
    call(script, posterior, *words)
    scores = json.loads((tmp_path / "out" / "prediction.json").read_text())["quality"]
    assert all(np.isfinite(list(score.values())).all() for score in scores.values())


def test_a_target_of_another_half_pixel_convention_is_moved(script, posterior, tmp_path, capsys):
    path = ROOT / "data" / "cristae" / "raw.tif"
    options = ("--test_data", path, "--pretrained_G", posterior, "--target", tmp_path / "gt.tif")
    call(script, posterior, "--test_data", path, "--save_path", tmp_path / "first")
    sr = tifffile.imread(tmp_path / "first" / "SR.tif").astype(np.float32)
    tifffile.imwrite(tmp_path / "gt.tif", shift(sr, (0.5, 0.5), mode="nearest"))
    capsys.readouterr()
    call(script, posterior, *options, "--save_path", tmp_path / "out")
    printed = capsys.readouterr().out
    assert re.search(r"ground truth moved by -0.[45]", printed)
    scores = json.loads((tmp_path / "out" / "prediction.json").read_text())["quality"]
    assert scores["SR"]["psnr"] > 30  # the target is the SR itself, interpolated twice


# --- Bad input -----------------------------------------------------------------------------------


def test_wrong_stacks(script, posterior, tmp_path, capsys):
    frames = counts(size=(20, 24))
    (tmp_path / "no_images").mkdir()
    cases = {
        "is missing": tmp_path / "nowhere.tif",
        "holds no images": tmp_path / "no_images",
        "holds 10 images": write_tiff(tmp_path / "ten.tif", np.concatenate([frames, frames[:1]])),
        "constant": write_tiff(tmp_path / "flat.tif", np.full((9, 20, 24), 7, np.uint16)),
        "NaN": write_tiff(tmp_path / "nan.tif", np.full((9, 20, 24), np.nan, np.float32)),
        "negative counts": write_tiff(tmp_path / "negative.tif", -frames.astype(np.float32)),
    }
    for words, path in cases.items():
        arguments = ("--test_data", path, "--save_path", tmp_path / "out")
        line = fails(script, capsys, posterior, *arguments)
        assert words in line
        assert path.name in line


def test_wrong_checkpoints(script, tmp_path, capsys):
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    folders = {name: tmp_path / name for name in ("none", "empty", "other", "cut", "misfit")}
    for name in ("empty", "other", "cut", "misfit"):
        folders[name].mkdir()
    torch.save({"conv.weight": torch.ones(3)}, folders["other"] / "member_01.pth")
    save_members(folders["cut"], 1)
    whole = (folders["cut"] / "member_01.pth").read_bytes()
    (folders["cut"] / "member_01.pth").write_bytes(whole[: len(whole) // 2])
    small = build_network(network_config("unet", "", width=4, levels=2, blocks=1))
    payload = member_payload(small, {}, {})
    payload["network"] = network_config("unet", "", width=8, levels=2, blocks=1)
    save_checkpoint(folders["misfit"] / "member_01.pth", payload)
    expected = {
        "none": "no folder",
        "empty": "no posterior members",
        "other": "another network",
        "cut": "damaged, truncated",
        "misfit": "do not fit a network",
    }
    for name, words in expected.items():
        arguments = ("--test_data", path, "--save_path", tmp_path / "out")
        line = fails(script, capsys, folders[name], *arguments)
        assert words in line
        assert name in line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_from_the_shell(posterior, tmp_path):
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    done = shell("--test_data", path, "--pretrained_G", posterior, "--save_path", path / "out")
    assert done.returncode == 2
    assert "cannot write in the folder" in only_line(done.stderr)


def test_wrong_options(script, posterior, tmp_path, capsys):
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    tifffile.imwrite(tmp_path / "small.tif", np.arange(20 * 24, dtype=np.float32).reshape(20, 24))
    tifffile.imwrite(tmp_path / "flat.tif", np.full((40, 48), 3, np.float32))
    tifffile.imwrite(tmp_path / "holes.tif", np.full((40, 48), np.nan, np.float32))
    cases = {
        "holds 3 member(s), 9 were requested": ("--members", 9),
        "tile: expected 32": ("--tile", 8),
        "pixel_size_nm: expected a positive size": ("--pixel_size_nm", -1),
        "give both, or neither": ("--na", 1.4),
        "na: expected 0.1 to 1.7, found 140": ("--na", 140, "--wavelength_nm", 525),
        "give na and wavelength_nm": ("--otf", tmp_path / "otf.mrc"),
        "give a cut-off of 1.387": ("--na", 1.4, "--wavelength_nm", 525, "--pixel_size_nm", 260),
        "measured OTF: no file": (
            "--na",
            1.4,
            "--wavelength_nm",
            525,
            "--otf",
            tmp_path / "otf.mrc",
        ),
        "twice the raw frames": ("--target", tmp_path / "small.tif"),
        "flat.tif is constant (every pixel is 3)": ("--target", tmp_path / "flat.tif"),
        "holes.tif holds values that are not finite": ("--target", tmp_path / "holes.tif"),
        "ground truth: no file": ("--target", tmp_path / "nowhere.tif"),
    }
    for words, option in cases.items():
        arguments = ("--test_data", path, "--save_path", tmp_path / "out", *option)
        assert words in fails(script, capsys, posterior, *arguments)


def test_raw_data_is_never_overwritten(script, posterior, tmp_path, capsys):
    path = write_tiff(tmp_path / "SR.tif", counts(size=(20, 24)))
    before = path.read_bytes()
    line = fails(script, capsys, posterior, "--test_data", path, "--save_path", tmp_path)
    assert "choose another save_path" in line
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["SR.tif"]


def test_members_that_went_wrong(script, tmp_path, capsys):
    folder = tmp_path / "posterior"
    folder.mkdir()
    network = build_network(network_config("unet", "", width=4, levels=2, blocks=1))
    with torch.no_grad():
        network.trunk.output.bias.fill_(float("nan"))
    save_checkpoint(member_path(folder, 1), member_payload(network, {}, {}))
    path = write_tiff(tmp_path / "cell.tif", counts(size=(20, 24)))
    line = fails(script, capsys, folder, "--test_data", path, "--save_path", tmp_path / "out")
    assert "not finite" in line


# --- GPU -----------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_cpu_gives(posterior):
    frames = counts(size=(97, 131))
    on_cpu, _ = prediction_of(posterior, frames)
    full_scale = (on_cpu.mean.max() - on_cpu.mean.min()).item()
    for tile in (32, 512):
        on_gpu, _ = prediction_of(posterior, frames, device="cuda", tile=tile)
        assert on_gpu.mean.device.type == "cuda"
        for name in on_cpu._fields:
            difference = getattr(on_gpu, name).cpu() - getattr(on_cpu, name)
            assert difference.abs().max().item() < 1e-2 * full_scale  # TF32 convolutions
