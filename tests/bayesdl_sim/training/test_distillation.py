"""A student is fitted to its teacher: lessons kept, interruptions, and what is learnt."""

import shutil

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.commands.distil import main, parse_args
from bayesdl_sim.models.bayesdl import DISTILLED
from bayesdl_sim.models.fields.poses import POSES_FILE, poses_of
from bayesdl_sim.models.members import open_members
from bayesdl_sim.training.distillation import fit, teacher
from bayesdl_sim.training.distillation.fit import distil, rank_correlation
from bayesdl_sim.training.distillation.teacher import Lessons, shard_path, teach
from bayesdl_sim.utils.checkpoints import load_checkpoint, member_path
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def words(finished, small_set, tmp_path):
    """A command line for the smallest distillation."""
    sources = ["--root_dir", str(small_set), "--pretrained_G", str(finished)]
    folders = ["--work", str(tmp_path / "work"), "--save_path", str(tmp_path / "student")]
    patches = ["--patches", "24", "--held_out", "8", "--patch_size", "24"]
    fitting = ["--steps", "12", "--lr", "3e-3", "--device", "cpu", "--precision", "fp32"]
    return [*sources, *folders, *patches, *fitting]


def test_lessons_are_the_teachers_predictions(words, finished):
    settings = parse_args(words)
    lessons = teach(settings, open_members(finished))
    assert (lessons.count, lessons.held_out) == (24, 8)
    lesson = lessons.lesson(np.array([3, 17]))
    prediction = predict([member.function for member in open_members(finished)], lesson.raw)
    torch.testing.assert_close(lesson.mean, prediction.mean, atol=2e-3, rtol=0)
    aleatoric, epistemic = lesson.parameters.exp().sqrt().split(1, dim=1)
    torch.testing.assert_close(aleatoric, prediction.aleatoric, atol=1e-5, rtol=0.02)
    torch.testing.assert_close(epistemic, prediction.epistemic, atol=1e-4, rtol=0.05)


def test_lessons_are_kept(words, finished, monkeypatch):
    settings, members = parse_args(words), open_members(finished)
    teach(settings, members)
    shard_path(settings.work / "lessons", 1).unlink()
    calls = []
    monkeypatch.setattr(teacher, "predict", lambda *a: calls.append(1) or predict(*a))
    teach(settings, members)
    assert len(calls) == 1
    other = parse_args([*words, "--patch_size", "32"])
    with pytest.raises(InputError, match="predictions of other members, or for other patches"):
        teach(other, members)


def test_as_many_lessons_as_requested_of_a_set_with_few_stacks(words, finished, monkeypatch):
    """A batch holds no more patches than the set has stacks: four here."""
    real = teacher.SimDataset.batches

    def of_four(self, epoch, seed, batch_size, patch_size):
        return real(self, epoch, seed, min(batch_size, 4), patch_size)

    monkeypatch.setattr(teacher.SimDataset, "batches", of_four)
    settings = parse_args([*words, "--patches", "18", "--held_out", "12"])
    lessons = teach(settings, open_members(finished))
    assert lessons.count == 18
    assert [len(shard) for shard in lessons.shards] == [4, 4, 4, 4, 2]
    assert len(lessons.batch(0, seed=0, size=3).raw) == 3
    distil(settings)
    assert load_checkpoint(member_path(settings.save_path, 1))["training"]["patches"] == 18


def test_a_last_shard_holds_no_more_than_requested(words, finished):
    lessons = teach(parse_args([*words, "--patches", "20"]), open_members(finished))
    assert [len(shard) for shard in lessons.shards] == [8, 8, 4]


def test_a_turned_lesson_is_the_lesson_of_the_turned_stack():
    """Frames, guess, teacher and truth turn together; the guess's sub-pixels change places."""
    fine = torch.arange(16.0).reshape(1, 1, 4, 4)
    guess = torch.nn.functional.pixel_unshuffle(fine, 2)
    raw = torch.cat([torch.arange(4.0).reshape(1, 1, 2, 2).expand(1, 9, 2, 2), guess], dim=1)
    lessons, seen = object.__new__(Lessons), set()
    lessons.held_out, lessons.count = 0, 1
    lessons.lesson = lambda numbers: teacher.Lesson(raw, fine, fine.expand(1, 2, 4, 4), fine)
    for step in range(60):
        turned = lessons.batch(step, 0, 1)
        for image in (turned.mean, turned.parameters[:, :1], turned.target):
            assert torch.equal(torch.nn.functional.pixel_shuffle(turned.raw[:, 9:], 2), image)
        coarse = torch.nn.functional.avg_pool2d(turned.mean, 2)
        assert torch.equal(coarse.flatten().argsort(), turned.raw[:, 0].flatten().argsort())
        seen.add(tuple(turned.mean.flatten().tolist()))
    assert len(seen) == 8


def test_a_student_learns_and_records_its_teacher(words, finished, monkeypatch, tmp_path):
    monkeypatch.setattr(fit, "EVERY", 12)
    # These members have hardly learnt to answer alike in all poses, which a student cannot follow.
    teacher = shutil.copytree(finished, tmp_path / "upright")
    (teacher / POSES_FILE).unlink()
    words = [str(teacher) if word == str(finished) else word for word in words]
    settings = parse_args([*words, "--steps", "60"])
    distil(settings)
    payload = load_checkpoint(member_path(settings.save_path, 1))
    assert payload["network"]["likelihood"] == DISTILLED
    facts = [member.facts for member in open_members(finished)]
    assert payload["sampler"]["of"] == {fact.path.name: fact.sha256 for fact in facts}
    assert poses_of(settings.save_path, 0) == (0, 1)
    log = np.genfromtxt(settings.work / "student.csv", delimiter=",", names=True)
    assert log["step"].tolist() == [11, 23, 35, 47, 59]
    assert log["loss"][-1] < 0.7 * log["loss"][0]
    lesson = Lessons(settings.work / "lessons", 3, 8).lesson(np.arange(8))
    (student,) = [member.function for member in open_members(settings.save_path)]
    prediction = predict([student], lesson.raw, DISTILLED)
    epistemic = lesson.parameters[:, 1:]
    off = (2 * prediction.epistemic.log() - epistemic).abs().mean()
    assert off < 0.7 * (epistemic + 9.0).abs().mean()  # it began in the middle of its range


def test_an_interrupted_run_ends_the_same(words, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "EVERY", 4)
    distil(parse_args(words))
    stop = tmp_path / "stopped"
    again = [*words, "--work", str(stop), "--save_path", str(stop / "student")]
    descend, calls = fit._descend, []

    def killed(*args):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return descend(*args)

    monkeypatch.setattr(fit, "_descend", killed)
    with pytest.raises(KeyboardInterrupt):
        distil(parse_args(again))
    distil(parse_args(again))
    one, other = (
        load_checkpoint(member_path(folder, 1))["state"]
        for folder in (tmp_path / "student", stop / "student")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_student_is_fitted_further_from_where_it_was(words, finished, tmp_path):
    first, further = tmp_path / "student", tmp_path / "further"
    distil(parse_args(words))
    more = [*words, "--init_from", str(first), "--save_path", str(further), "--steps", "1"]
    with pytest.raises(InputError, match="was begun with"):
        distil(parse_args(more))  # the state of the first run is in the work folder
    distil(parse_args([*more, "--work", str(tmp_path / "more"), "--lr", "1e-9"]))
    one, other = (load_checkpoint(member_path(folder, 1)) for folder in (first, further))
    for name, weight in one["state"].items():
        torch.testing.assert_close(other["state"][name], weight, msg=name)
    assert other["training"]["fitted_further"]
    with pytest.raises(InputError, match="is not a student"):
        distil(parse_args([*more, "--work", str(tmp_path / "x"), "--init_from", str(finished)]))


def test_a_blend_lies_between_the_start_and_the_fit(words, finished):
    folder = parse_args(words).save_path

    def student(share):
        distil(parse_args([*words, "--blend", str(share)]))
        return load_checkpoint(member_path(folder, 1))["state"]["trunk.head.weight"]

    fitted = student(1)
    start = load_checkpoint(member_path(finished, 1))["state"]["trunk.head.weight"]
    torch.testing.assert_close(student(0.5), (start + fitted) / 2)


def test_rank_correlation_is_that_of_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    b = a + rng.normal(size=200)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--patches", "8", "9"], "one number per data set, 1, found 2"),
        (["--held_out", "24"], "held_out: expected fewer than the 24 patches"),
        (["--patches", "0"], "patches: expected 1 or more"),
        (["--blend", "0"], "blend: expected a share above 0 and up to 1"),
        (["--steps", "0"], "steps: expected a positive number"),
    ],
)
def test_settings_that_make_no_sense(words, more, message):
    with pytest.raises(InputError, match=message):
        parse_args([*words, *more])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--start_from", "1", "3"], "start_from: expected members from 1 to 2, found 3"),
        (["--init_from", "nowhere"], "nowhere"),
        (["--patch_size", "4096"], "smaller patch"),
    ],
)
def test_mistakes_are_found_before_the_teacher_works(words, monkeypatch, more, message):
    monkeypatch.setattr(teacher, "predict", lambda *args: pytest.fail("it predicts"))
    with pytest.raises(InputError, match=message):
        main([*words, *more])


def test_a_file_as_work_folder_is_named(words, tmp_path):
    path = tmp_path / "small.tif"
    path.write_bytes(b"")
    with pytest.raises(InputError, match="expected a folder, found the file .*small.tif"):
        main([*words, "--work", str(path)])
