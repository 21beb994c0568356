"""The macro for Fiji: its options exist, and ImageJ opens our result with it as one hyperstack."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

from bayesdl_sim.commands.testing.options import parse_args

ROOT = Path(__file__).resolve().parents[1]
MACRO = ROOT / "fiji" / "BayesDL_SIM.ijm"
IMAGEJ = Path("/usr/share/java/ij.jar")  # of Debian's package imagej

SCRIPT = """
open("{raw}");
runMacro("{macro}", "command={command}\\nmembers=2\\nfolder={results}");
getDimensions(width, height, channels, slices, frames);
print("title=" + getTitle());
print("size=" + width + "x" + height + "x" + channels + "x" + slices + "x" + frames);
names = "";
for (c = 1; c <= channels; c++) {{
    setSlice(c);
    names = names + getInfo("slice.label") + " ";
}}
print("names=" + names);
getPixelSize(unit, pixelWidth, pixelHeight);
print("pixel=" + d2s(1000 * pixelWidth, 1));
print("open=" + nImages);
"""


def text():
    return MACRO.read_text(encoding="utf-8")


def test_every_option_of_the_macro_is_one_of_the_command():
    flags = set(re.findall(r"--[a-z_A-Z]+", text()))
    assert {"--test_data", "--save_path", "--order", "--pixel_size_nm", "--members"} <= flags
    values = {"--order": "orientation,phase", "--pixel_size_nm": "65", "--members": "2"}
    switches = flags - {"--test_data", "--save_path", *values}
    words = ["--test_data", "raw.tif", "--save_path", "out", *switches]
    settings = parse_args(words + [word for pair in values.items() for word in pair])
    assert settings.force
    assert "Misfit" in settings.maps


def test_the_guide_names_every_option_of_the_macro():
    guide = (ROOT / "docs" / "guides" / "fiji.md").read_text(encoding="utf-8")
    names = re.findall(r'if \(name == "(\w+)"\)', text())
    assert len(names) == 7
    assert [name for name in names if f"`{name}`" not in guide] == []


@pytest.mark.skipif(
    not (IMAGEJ.is_file() and shutil.which("xvfb-run") and shutil.which("java")),
    reason="needs ImageJ, Java and Xvfb (Debian: imagej, xvfb)",
)
def test_imagej_opens_the_result_as_one_named_hyperstack(tmp_path):
    raw = tifffile.imread(ROOT / "data" / "cristae" / "raw.tif")[:, 20:84, 20:84]
    metadata = {"axes": "ZYX", "unit": "micron"}
    resolution = (1 / 0.065, 1 / 0.065)
    tifffile.imwrite(
        tmp_path / "raw.tif", raw, imagej=True, resolution=resolution, metadata=metadata
    )
    command = tmp_path / "a program" / "bayesdl"  # a space, as Windows and Macs like them
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bayesdl_sim "$@"\n')
    command.chmod(0o755)
    script = tmp_path / "script.ijm"
    names = {"raw": tmp_path / "raw.tif", "macro": MACRO, "command": command}
    script.write_text(SCRIPT.format(**names, results=tmp_path / "it's here"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    environment["OMP_NUM_THREADS"] = "1"
    java = ["java", "-Xmx256m", "-jar", str(IMAGEJ), "-batch", str(script)]
    done = subprocess.run(
        ["xvfb-run", "-a", *java], env=environment, capture_output=True, text=True, timeout=500
    )
    printed = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert printed.get("title") == "SR of raw.tif", done.stdout + done.stderr
    assert printed["size"] == "128x128x5x1x1"
    assert printed["names"].split() == ["SR", "Aleatoric", "Epistemic", "Total", "Credibility"]
    assert printed["pixel"] == "32.5"
    assert printed["open"] == "2"  # the raw stack keeps its window
    assert "pixel 65 nm" in done.stdout
    assert "verdict: accept" in done.stdout
    assert (tmp_path / "it's here" / "report.html").is_file()
