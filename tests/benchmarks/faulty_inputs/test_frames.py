"""The benchmark of faults of single frames names a torn one, which is refused."""

from bayesdl_sim.benchmarks.faulty_inputs import frames
from bayesdl_sim.benchmarks.scenes.frame_faults import FRAME_FAULTS


def test_a_torn_frame_is_named_and_refused(capsys, monkeypatch):
    torn = "one frame torn by 6 px"
    monkeypatch.setattr(frames, "FRAME_FAULTS", {torn: FRAME_FAULTS[torn]})
    frames.main(["--cells", "1", "--levels", "1", "--size", "96", "--members", "1"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    row = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert row[0] == torn
    assert row[-2:] == ["1", "1"]
