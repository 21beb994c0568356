"""The whole way of the wing: simulate, train a few steps, reconstruct, evaluate."""

import pytest

from bayesdl_sim.dlbi import evaluate, reconstruct, train
from bayesdl_sim.dlbi.network import samples
from bayesdl_sim.dlbi.network.posterior import load_posterior
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

TRAINING_WORDS = (
    "--width 16 --scenes 2 --held_out 1 --batch_size 2 --crop 16 --steps 2 --cooldown 1 --draws 2 "
    "--member_steps 1 --device cpu --precision fp32"
)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Two members after three steps, with their calibration."""
    folder = tmp_path_factory.mktemp("trained")
    patch = pytest.MonkeyPatch()
    patch.setattr(train, "SCENE_SIZE", 20)
    train.main(["--save_path", str(folder), *TRAINING_WORDS.split()])
    patch.undo()
    return folder


def test_training_leaves_members_scenes_and_calibration(members):
    assert (members / "member_02.pth").is_file()
    assert len(samples.list_samples(members / "scenes")) == 2
    assert len(samples.list_samples(members / "scenes" / "held_out")) == 1
    stored = read_json(members / "calibration.json")
    assert stored["members"] == ["member_01.pth", "member_02.pth"]
    assert stored["fitted_on"]["scenes"] == 1


def test_a_finished_training_that_is_resumed_makes_the_calibration_again(members):
    """What the message on a map of an older version says."""
    first = (members / "calibration.json").read_bytes()
    write_json(members / "calibration.json", {"stated": [0.0, 1.0], "calibrated": [0.0, 1.0]})
    draws = (members / "member_01.pth").read_bytes()
    train.main(["--save_path", str(members), *TRAINING_WORDS.split(), "--resume"])
    assert (members / "calibration.json").read_bytes() == first
    assert (members / "member_01.pth").read_bytes() == draws


def test_a_second_training_does_not_mix_with_the_first(members):
    with pytest.raises(InputError, match="already holds"):
        train.main(["--save_path", str(members)])


def test_movies_are_reconstructed_and_scored(members, movie_folder, tmp_path, capsys):
    movie = str(movie_folder / "movie_2" / "movie.tif")
    options = ["--pretrained_G", str(members), "--stage", "network", "--device", "cpu"]
    reconstruct.main(["--movie", movie, "--save_path", str(tmp_path / "one"), *options])
    record = read_json(tmp_path / "one" / "reconstruction.json")
    assert record["stages"][1]["calibrated"] is True
    scores_at = tmp_path / "scores"
    evaluate.main(
        ["--data", str(movie_folder / "movie_2"), "--save_path", str(scores_at), *options]
    )
    scores = read_json(scores_at / "scores.json")["cases"]
    assert set(scores) == {"movie_2"}
    network = scores["movie_2"]["network"]
    assert 0 < network["ncc"] < 1
    assert network["ece"] < 0.1
    assert scores["movie_2"]["moments"]["ncc"] > scores["movie_2"]["mean image"]["ncc"]
    assert (scores_at / "movie_2.png").is_file()
    assert "(worst)" in capsys.readouterr().out


def test_evaluate_needs_movies_with_truth(tmp_path):
    with pytest.raises(InputError, match="found none"):
        evaluate.main(["--data", str(tmp_path), "--save_path", str(tmp_path / "out")])


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan"])
def test_labelling_is_a_positive_factor(value):
    with pytest.raises(InputError, match="labelling: expected a positive factor"):
        evaluate.parse_args(["--save_path", "out", "--labelling", value])


def test_number_of_cases():
    with pytest.raises(InputError, match="expected 1 to 8"):
        evaluate.parse_args(["--save_path", "out", "--cases", "9"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--crop", "200"], "crop: expected at most 48"),
        (["--scenes", "0"], "scenes: expected a positive number"),
        (["--width", "0"], "width: expected a positive number, found 0"),
        (["--batch_size", "0"], "batch_size: expected a positive number"),
        (["--lr", "0"], "lr: expected a positive number"),
        (["--lr", "nan"], "lr: expected a positive number"),
        (["--held_out", "-3"], "held_out: expected 0 or more, found -3"),
        (["--dense", "-1"], "dense: expected 0 or more"),
        (["--seed", "-1"], "seed: expected 0 or more"),
        (["--steps", "-1"], "steps: expected 0 or more"),
        (["--temperature", "nan"], "temperature: expected 0 or more"),
    ],
)
def test_impossible_trainings(options, words):
    with pytest.raises(InputError, match=words):
        train.parse_args(["--save_path", "out", *options])


def test_too_few_scenes_are_refused_before_any_is_simulated(tmp_path):
    words = ["--save_path", str(tmp_path), "--scenes", "2", "--dense", "1"]
    with pytest.raises(InputError, match="scenes: expected at least 4 with those in .* found 3"):
        train.main(words)
    assert not list(tmp_path.rglob("scene_*"))


def test_a_folder_without_members_names_the_command_that_trains_them(tmp_path):
    with pytest.raises(InputError, match=r"train them first \(python -m dlbi.train\)"):
        load_posterior(tmp_path)
