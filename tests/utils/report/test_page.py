"""The report is one file that needs nothing else, and shows values as a person reads them."""

import base64
import json

import numpy as np
import pytest

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.pictures import write_overview
from bayesdl_sim.utils.report.page import finite, picture, table, text, write_page


def test_table_marks_what_was_missed_and_escapes_names():
    rows = [{"what": "a<b>", "met": True}, {"what": "c & d", "met": False}]
    page = table(rows, miss="met")
    assert page.count('class="miss"') == 1
    assert "a&lt;b&gt;" in page
    assert "c &amp; d" in page
    assert "nothing" in table([])


def test_page_holds_its_pictures(tmp_path):
    write_overview(tmp_path / "a.png", {"SR": np.eye(40)}, 31.3)
    pieces = [text("x < y"), picture(tmp_path / "a.png", "a picture"), table([{"n": 1}])]
    write_page(tmp_path / "report.html", "Title", {"First": pieces})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    encoded = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    assert f'src="data:image/png;base64,{encoded}"' in page
    assert "x &lt; y" in page
    assert "<script" not in page
    with pytest.raises(InputError, match="no file"):
        picture(tmp_path / "missing.png", "none")


def test_what_json_cannot_hold(tmp_path):
    nested = {"a": [float("nan"), 1.5], "b": (float("inf"), "x"), "c": {"d": None}}
    write_json(tmp_path / "x.json", finite(nested))
    content = json.loads((tmp_path / "x.json").read_text())
    assert content == {"a": [None, 1.5], "b": [None, "x"], "c": {"d": None}}
