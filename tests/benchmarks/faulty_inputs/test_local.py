"""The benchmark of faults at one place names them and scores what is away from them."""

import pytest

from bayesdl_sim.benchmarks.faulty_inputs import local
from bayesdl_sim.benchmarks.scenes.local_faults import LOCAL_FAULTS


@pytest.mark.filterwarnings("ignore:Could not determine RMS error")  # of constant frames
def test_a_gap_is_named_and_costs_little(capsys, monkeypatch):
    gap, refused = "12 rows and 9 columns of zeros", "everything is one value"

    def constant(scene, raw, generator):
        far = LOCAL_FAULTS[gap](scene, raw, generator).away
        return raw.clone().fill_(7.0), far

    monkeypatch.setattr(local, "LOCAL_FAULTS", {gap: LOCAL_FAULTS[gap], refused: constant})
    local.main(["--cells", "1", "--levels", "1", "--size", "96", "--members", "1"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    named = dict(zip((c.strip() for c in lines[0].split("|")[1:-1]), rows[0], strict=True))
    assert named["fault"] == gap
    assert named["named"] == "1"
    assert float(named["mean change, dB"]) > -1.0
    assert 50 < float(named["lit pixels covered, %"]) <= 100
    assert rows[1][0] == refused
    assert rows[1][-1] == "1"
