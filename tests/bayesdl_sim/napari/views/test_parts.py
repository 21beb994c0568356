"""Bars, pictures, and the two ways to work beside the window."""

from threading import Event

import numpy as np
import pytest

from bayesdl_sim.utils.errors import InputError


def test_bars_run_until_the_total_is_known(qtbot):
    from bayesdl_sim.napari.views.parts import Bars

    bars = Bars(("fringes", "members"))
    qtbot.addWidget(bars)
    bars.begin()
    bars.advance(0, 1, "fringes")
    assert bars.bars["fringes"].maximum() == 0  # it only shows that something goes on
    bars.advance(1, 1, "fringes")
    bars.advance(3, 8, "members")
    assert (bars.bars["members"].value(), bars.bars["members"].maximum()) == (3, 8)
    bars.advance(1, 2, "a part that nobody announced")
    assert list(bars.bars) == ["fringes", "members", "a part that nobody announced"]
    bars.end()
    assert bars.isHidden()
    bars.begin()
    assert bars.bars["members"].value() == 0


def test_picture_grows_no_larger_than_it_is(qtbot):
    from bayesdl_sim.napari.views.parts import Picture

    picture = Picture("nothing yet")
    qtbot.addWidget(picture)
    assert picture.is_empty
    assert picture.text() == "nothing yet"
    picture.resize(400, 400)
    picture.show_picture(np.zeros((50, 100, 3), np.uint8))
    assert (picture.pixmap().width(), picture.pixmap().height()) == (100, 50)
    picture.show()  # a hidden widget does not learn its size
    picture.resize(80, 400)
    qtbot.waitUntil(lambda: picture.pixmap().width() <= 80, timeout=30_000)
    picture.forget()
    assert picture.text() == "nothing yet"


def test_only_the_newest_question_waits(qtbot):
    from bayesdl_sim.napari.views.jobs import Latest

    go_on, questions, answers = Event(), [], []
    latest = Latest(answers.append)

    def question(number):
        questions.append(number)
        go_on.wait(30)
        return number

    for number in range(5):
        latest.request(lambda number=number: question(number))
    go_on.set()
    qtbot.waitUntil(lambda: not latest.is_busy, timeout=30_000)
    assert answers == questions == [0, 4]


def test_question_without_sense_is_passed_over(qtbot):
    from bayesdl_sim.napari.views.jobs import Latest

    def senseless():
        raise InputError("a line of 0.5 px is too short")

    answers = []
    latest = Latest(answers.append)
    latest.request(senseless)
    qtbot.waitUntil(lambda: not latest.is_busy, timeout=30_000)
    latest.request(lambda: 7)
    qtbot.waitUntil(lambda: not latest.is_busy, timeout=30_000)
    assert answers == [7]


@pytest.mark.parametrize(
    ("error", "said"),
    [(InputError("no stack"), "no stack"), (MemoryError(), "not enough memory")],
)
def test_mistakes_and_lack_of_memory_are_one_line(qtbot, error, said):
    from bayesdl_sim.napari.views.jobs import Job

    def work(report):
        raise error

    job, reasons = Job(), []
    job.start(work, pytest.fail, reasons.append)
    qtbot.waitUntil(lambda: not job.is_running, timeout=30_000)
    assert len(reasons) == 1
    assert said in reasons[0]


def test_newer_work_takes_the_place_of_the_older(qtbot):
    from bayesdl_sim.napari.views.jobs import Job

    go_on, results = Event(), []

    def slow(report):
        go_on.wait(30)
        report.progress(1, 1, "members")
        return "old"

    job = Job()
    job.start(slow, results.append, results.append)
    job.start(lambda report: "new", results.append, results.append)
    qtbot.waitUntil(lambda: not job.is_running, timeout=30_000)
    go_on.set()
    qtbot.wait(200)
    assert results == ["new"]
