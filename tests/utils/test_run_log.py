"""Provenance, and the log of every epoch."""

import csv
import errno
import json
import platform
import sys
import threading

import numpy as np
import pytest
import torch

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.run_log import EpochLog, provenance

torch.set_num_threads(1)


CPU = torch.device("cpu")


def test_provenance_is_json_and_names_versions():
    facts = provenance()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["torch"] == torch.__version__
    assert facts["numpy"] == np.__version__
    assert facts["git_commit"] is None or len(facts["git_commit"].split("-")[0]) >= 40


def rows(path) -> list[list[str]]:
    with open(path, newline="") as handle:
        return list(csv.reader(handle))


def test_log_has_one_line_per_epoch(tmp_path):
    log = EpochLog(tmp_path, "step1", tensorboard=False)
    log.write(1, {"loss": 0.5, "psnr": 20})
    log.write(2, {"loss": torch.tensor(0.25), "psnr": float("nan")})
    log.close()
    lines = rows(tmp_path / "step1.csv")
    assert lines == [["epoch", "loss", "psnr"], ["1", "0.5", "20"], ["2", "0.25", "nan"]]


def test_resumed_log_has_no_epoch_twice_and_no_torn_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,psnr\n1,0.5,20\n2,0.4,21\n3,0.3,22\n4,0.2")
    log = EpochLog(tmp_path, first_epoch=3, tensorboard=False)
    log.write(3, {"loss": 0.35, "psnr": 23})
    expected = [["epoch", "loss", "psnr"], ["1", "0.5", "20"], ["2", "0.4", "21"]]
    assert rows(path) == [*expected, ["3", "0.35", "23"]]


def test_fresh_log_starts_anew(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,other\n1,0.5\n2,0.4\n")
    log = EpochLog(tmp_path, first_epoch=1, tensorboard=False)
    log.write(1, {"loss": 1})
    assert rows(tmp_path / "log.csv") == [["epoch", "loss"], ["1", "1"]]


def test_log_with_other_columns_is_refused_and_kept(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,other\n1,0.5\n")
    log = EpochLog(tmp_path, first_epoch=2, tensorboard=False)
    with pytest.raises(InputError, match=r"log\.csv: expected the columns epoch, other, found"):
        log.write(2, {"loss": 1})
    assert path.read_text() == "epoch,other\n1,0.5\n"


def test_tensorboard_holds_the_same_curves_and_the_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EpochLog(tmp_path, "step1")
    log.write(1, {"loss": 0.5})
    log.write(2, {"loss": 0.25})
    log.image(2, "mean", torch.rand(1, 1, 12, 20, generator=torch.Generator().manual_seed(0)))
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "step1"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    (picture,) = events.Images("mean")
    assert (picture.height, picture.width) == (12, 20)


def test_missing_tensorboard_costs_the_curves_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    log = EpochLog(tmp_path)
    log.write(1, {"loss": 0.5})
    log.image(1, "mean", np.zeros((4, 4)))
    log.close()
    assert "TensorBoard is not installed" in capsys.readouterr().out
    assert rows(tmp_path / "log.csv") == [["epoch", "loss"], ["1", "0.5"]]


def test_a_full_disk_ends_the_log_at_once_and_names_the_file(tmp_path, monkeypatch):
    """TensorBoard's own writer would fail in a thread, with a traceback, and be waited for."""
    pytest.importorskip("tensorboard")
    threads = threading.active_count()
    log = EpochLog(tmp_path)

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log._board, "_records", Full())
    with pytest.raises(OSError, match="No space left") as caught:
        log.write(1, {"loss": 0.5})
    assert "events.out.tfevents" in caught.value.filename
    assert threading.active_count() == threads


def test_the_curves_do_not_name_the_computer(tmp_path):
    pytest.importorskip("tensorboard")
    EpochLog(tmp_path).close()
    (path,) = (tmp_path / "tensorboard" / "log").iterdir()
    assert platform.node() not in path.name
    assert platform.node().encode() not in path.read_bytes()
