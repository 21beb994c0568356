"""Members in a folder: loaded, asked in every orientation, tiled, calibrated."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from bayesdl_sim.dlbi.network import posterior as posterior_module
from bayesdl_sim.dlbi.network.features import turned
from bayesdl_sim.dlbi.network.posterior import load_posterior
from bayesdl_sim.dlbi.network.reliability import write_calibration
from bayesdl_sim.dlbi.scoring.scores import calibration_error
from bayesdl_sim.utils.checkpoints import load_checkpoint, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.pieces.poses import turn, turn_back


@pytest.fixture(scope="module")
def folder(untrained, tmp_path_factory):
    """A copy of two untrained members, to which a calibration may be added."""
    folder = tmp_path_factory.mktemp("members")
    return Path(shutil.copytree(untrained, folder, dirs_exist_ok=True))


def test_maps_and_units(folder, samples):
    predicted = load_posterior(folder).predict(samples[0].features)
    for image in (predicted.density, predicted.spread, predicted.probability):
        assert image.shape == (192, 192)
        assert bool(image.isfinite().all())
    assert bool((predicted.density >= 0).all())
    assert bool(((predicted.probability >= 0) & (predicted.probability <= 1)).all())
    assert predicted.brightness_e > 0


def test_equal_members_have_no_spread(folder, samples, monkeypatch):
    posterior = load_posterior(folder, limit=1)
    assert float(posterior.predict(samples[0].features).spread.max()) == 0
    posterior = load_posterior(folder)
    assert float(posterior.predict(samples[0].features).spread.max()) > 0
    assert posterior.names == ("member_01.pth", "member_02.pth")
    assert posterior.hashes[0] != posterior.hashes[1]


def test_tiles_equal_the_field(folder, samples, monkeypatch):
    posterior = load_posterior(folder, limit=1)
    whole = posterior.predict(samples[0].features).density
    monkeypatch.setattr(posterior_module, "TILE", 12)
    pieces = posterior.predict(samples[0].features).density
    # The brightness is a property of the whole field, the structure of its neighbourhood.
    ratio = float(whole.sum() / pieces.sum())
    torch.testing.assert_close(whole, pieces * ratio, rtol=0.02, atol=0.02 * float(whole.max()))


@pytest.mark.parametrize("number", range(8))
def test_orientations_are_undone(samples, number):
    image = samples[0].fluorophores
    assert torch.equal(turn_back(turn(image, number), number), image)
    features = turned(samples[0].features, number)
    assert torch.equal(features.mean, turn(samples[0].features.mean, number))
    assert features.scale == samples[0].features.scale


def test_all_orientations_are_different():
    image = torch.arange(12.0).view(1, 3, 4)
    forms = {tuple(turn(image, number).flatten().tolist()) for number in range(8)}
    assert len(forms) == 8


def test_calibration_is_stored_beside_the_members(folder, scenes, samples):
    fitted = write_calibration(folder, scenes[0])
    posterior = load_posterior(folder)
    assert posterior.calibration == fitted
    occupied = torch.cat([sample.fluorophores for sample in samples]).numpy() > 0
    stated = [posterior.predict(sample.features).probability for sample in samples]
    error, _ = calibration_error(torch.stack(stated).numpy(), occupied)
    assert error < 0.03
    plain = load_posterior(folder, calibration=False).predict(samples[0].features)
    assert torch.equal(plain.probability, plain.stated)
    assert torch.equal(plain.stated, posterior.predict(samples[0].features).stated)
    assert not torch.equal(plain.probability, stated[0])


def test_a_map_serves_the_members_it_was_fitted_for(folder, scenes, tmp_path):
    write_calibration(folder, scenes[0])
    copied = Path(shutil.copytree(folder, tmp_path / "members"))
    assert load_posterior(copied).note == ""
    fewer = load_posterior(copied, limit=1)
    assert fewer.calibration is None
    assert fewer.note == (
        f"the probability is not calibrated: {copied / 'calibration.json'} was fitted for 2 "
        "members together, 1 predict"
    )
    (copied / "member_01.pth").write_bytes((copied / "member_02.pth").read_bytes())
    other = load_posterior(copied)
    assert other.calibration is None
    assert other.note.endswith("was fitted for other members")


def test_an_older_map_beside_the_members_is_refused(folder, tmp_path):
    copied = Path(shutil.copytree(folder, tmp_path / "members"))
    write_json(copied / "calibration.json", {"stated": [0.0, 1.0], "calibrated": [0.0, 0.5]})
    with pytest.raises(InputError, match="of version 2, found None None; make it again"):
        load_posterior(copied)
    assert load_posterior(copied, calibration=False).calibration is None


def test_more_members_than_there_are(folder):
    with pytest.raises(InputError, match="holds 2, but 100 were asked for"):
        load_posterior(folder, limit=100)


def test_no_scenes_to_calibrate_with(folder, tmp_path):
    with pytest.raises(InputError, match="found none"):
        write_calibration(folder, tmp_path)


def test_files_that_are_no_members(tmp_path):
    with pytest.raises(InputError):
        load_posterior(tmp_path)
    save_checkpoint(tmp_path / "member_01.pth", {"format": "BayesDL-SIM member", "state": {}})
    with pytest.raises(InputError, match="expected a member of the moments generator"):
        load_posterior(tmp_path)


SMALL = {"generator": "moments", "width": 16, "dropout": 0.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": None}, "expected a member of the moments generator"),
        ({"network": {"generator": "moments"}}, "do not fit the moments generator"),
        ({"network": {"generator": "moments", "width": 10**7, "dropout": 0.0}}, "do not fit"),
        ({"network": {"generator": "moments", "width": "x", "dropout": 0.0}}, "do not fit"),
        ({"network": {**SMALL, "blocks": 10**7}}, "do not fit"),
        ({"state": {}}, "do not fit"),
        ({"state": {"stem_fine.weight": torch.zeros(1).expand(10**6, 10**6)}}, "more numbers than"),
    ],
)
def test_a_damaged_member_is_refused_before_it_takes_memory(untrained, tmp_path, change, words):
    path = tmp_path / "member_01.pth"
    save_checkpoint(path, {**load_checkpoint(untrained / "member_01.pth"), **change})
    with pytest.raises(InputError, match=words) as caught:
        load_posterior(tmp_path)
    assert str(path) in str(caught.value)


def test_the_hash_is_that_of_the_loaded_bytes(untrained, monkeypatch):
    """A member that changes between two readings would be named by the hash of another one."""
    real, reads = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self.name) or real(self))
    posterior = load_posterior(untrained)
    assert [name for name in reads if name.endswith(".pth")] == ["member_01.pth", "member_02.pth"]
    whole = [hashlib.sha256(real(untrained / name)).hexdigest() for name in posterior.names]
    assert list(posterior.hashes) == whole
