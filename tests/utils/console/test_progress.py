"""Progress in a file: a line every ten seconds, with what is left; nothing for short work."""

import sys

import pytest

from bayesdl_sim.utils.console import progress as module
from bayesdl_sim.utils.console.progress import Progress, counted


def lines_of(capsys, seconds_each, steps=8):
    now = [0.0]
    with Progress("cell", clock=lambda: now[0]) as progress:
        for done in range(1, steps + 1):
            now[0] += seconds_each
            progress(done, steps, "members")
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


def test_a_line_every_ten_seconds(capsys):
    assert lines_of(capsys, 5.0) == [
        "cell: members 2 of 8, about 30 s left",
        "cell: members 4 of 8, about 20 s left",
        "cell: members 6 of 8, about 10 s left",
        "cell: members 8 of 8, about 0 s left",
    ]


def test_short_work_says_nothing(capsys):
    assert lines_of(capsys, 1.0) == []


def test_a_terminal_gets_a_bar_for_each_kind_of_work(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, desc):
            self.n, self.total, self.desc, self.open = 0, total, desc, True
            bars.append(self)

        def update(self, more):
            self.n += more

        def close(self):
            self.open = False

    monkeypatch.setattr(module, "tqdm", Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("cell") as progress:
        for what in ("members", "re-simulation"):
            for done in (1, 2, 3):
                progress(done, 3, what)
    assert [bar.desc for bar in bars] == ["cell: members", "cell: re-simulation"]
    assert all(bar.n == bar.total == 3 and not bar.open for bar in bars)


def test_items_are_counted(capsys, monkeypatch):
    now = [0.0]

    def items():
        for item in "abc":
            now[0] += 6.0
            yield item

    def of_this_clock(name):
        return Progress(name, clock=lambda: now[0])

    monkeypatch.setattr(module, "Progress", of_this_clock)
    assert list(counted(items(), "gate", 5, unit="cell", done=2)) == ["a", "b", "c"]
    assert capsys.readouterr().out == "gate: cell 4 of 5, about 6 s left\n"


def test_the_number_of_items_is_theirs_or_has_to_be_said():
    assert list(counted([1, 2], "gate", unit="cell")) == [1, 2]
    with pytest.raises(TypeError, match="how many cells there are has to be said"):
        list(counted(iter([1]), "gate", unit="cell"))


def test_work_that_is_left_early_leaves_no_bar_open(monkeypatch):
    closed = []
    monkeypatch.setattr(module.Progress, "__exit__", lambda self, *error: closed.append(error))
    for _ in counted([1, 2, 3], "gate", unit="cell"):
        break
    assert closed
