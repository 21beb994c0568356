"""Lines that a kill cuts off do not count, and never spoil the next one."""

import pytest

from bayesdl_sim.utils.folders.journal import Journal, journal_entries


def test_lines_come_back_in_order_and_from_all_files(tmp_path):
    for name, numbers in (("points-2.jsonl", (3, 4)), ("points-1.jsonl", (1, 2))):
        for number in numbers:
            with Journal(tmp_path / name) as journal:
                journal.add({"t": number, "numbers": {"Total": 0.1 + number}})
    (tmp_path / "other.jsonl").write_text('{"t": 9}\n')
    entries = list(journal_entries(tmp_path, "points-*.jsonl"))
    assert [entry["t"] for entry in entries] == [1, 2, 3, 4]
    assert entries[0]["numbers"] == {"Total": 1.1}
    assert list(journal_entries(tmp_path, "nothing*")) == []


@pytest.mark.parametrize("torn", [b'{"t": 7', b'{"t": 7}', b"\0\0"])
def test_a_torn_line_does_not_count_and_is_removed(torn, tmp_path):
    path = tmp_path / "points.jsonl"
    path.write_bytes(b'{"t": 1}\n' + torn)
    assert [entry["t"] for entry in journal_entries(tmp_path, "*.jsonl")] == [1]
    with Journal(path) as journal:
        journal.add({"t": 2})
    assert path.read_bytes() == b'{"t": 1}\n{"t": 2}\n'
