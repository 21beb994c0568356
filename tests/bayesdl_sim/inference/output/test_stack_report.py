"""The report of a stack is one file with the entries of prediction.json."""

import re

import pytest

from bayesdl_sim.inference.output.stack_report import methods


@pytest.fixture(scope="module")
def page(posterior, cristae, stack_of, tmp_path_factory):
    result = posterior.reconstruct(stack_of(cristae[:, :80, :96]))
    folder = result.save(tmp_path_factory.mktemp("results"))
    return result, (folder / "report.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(page):
    _, html = page
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert len(sources) == 4  # overview, trust, fringes, profile
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", html)


def test_verdict_fringes_methods_and_versions_are_in_it(page, posterior):
    result, html = page
    for words in (
        "<h2>Verdict</h2>",
        "not judged",
        "<h2>Fringes</h2>",
        "<h2>Profile</h2>",
        "fringes found in 3 of 3 orientations",
    ):
        assert words in html
    period = result.facts["patterns"][0]["orientations"][0]["period_nm"]
    assert f"{period:.0f}, " in html
    for member in posterior.members:
        assert member.sha256 in html
    assert result.facts["provenance"]["torch"] in html


def test_methods_state_only_what_is_known(page):
    result, _ = page
    words = methods(result.facts)
    assert "80 x 96 pixels (raw pixel 65 nm)" in words
    assert "mean of 2 network(s)" in words
    assert f"about {result.facts['signal_e']:g} electrons per frame" in words
    assert "not calibrated" in words
    assert "below 13 % of the range of the structure" in words
    assert methods({}).endswith("half the raw pixel size.")
