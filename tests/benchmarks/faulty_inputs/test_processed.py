"""The benchmark of processed frames compares each process with the exposure itself."""

import numpy as np
import pytest

from bayesdl_sim.benchmarks.faulty_inputs import processed
from bayesdl_sim.benchmarks.faulty_inputs.processed import PROCESSES, main


@pytest.fixture
def frames():
    return np.random.default_rng(1).poisson(100.0, (9, 48, 48)).astype(np.float32)


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "none"])
def test_a_process_changes_the_values_of_each_frame_by_itself(name, frames):
    changed = PROCESSES[name](frames)
    assert changed.shape == frames.shape
    assert not np.array_equal(changed, frames)
    frames[8, 3, 3] += 10  # below the largest value, which the gamma is relative to
    assert np.array_equal(PROCESSES[name](frames)[:8], changed[:8])


def test_an_unsharp_mask_is_noticed_and_the_exposure_itself_is_not(capsys, monkeypatch):
    name = "unsharp mask, sigma 1, weight 0.6"
    monkeypatch.setattr(processed, "PROCESSES", {key: PROCESSES[key] for key in ("none", name)})
    main(["--cells", "1", "--levels", "1", "--size", "96", "--members", "1"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    none, sharpened = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:])
    assert float(none[1]) == 0.0
    assert none[3] == "0 of 1"
    assert float(sharpened[1]) < 0.0
    assert sharpened[3] == "1 of 1"
