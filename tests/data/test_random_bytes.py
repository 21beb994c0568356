"""Random bytes and random headers through every reader: an image, or `InputError`, nothing else."""

import gzip
import struct
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.data.formats.mrc import open_mrc
from bayesdl_sim.data.formats.tiff import read_image, read_tiff, tiff_header
from bayesdl_sim.data.stacks import read_stacks
from bayesdl_sim.utils.errors import InputError

READERS = {
    ".mrc": (
        lambda path: open_mrc(path).series[0].read(),
        lambda path: open_mrc(path).series[0].shape,
    ),
    ".tif": (read_tiff, read_image, tiff_header),
}
WORD = st.one_of(st.integers(-3, 40), st.integers(-(2**31), 2**31 - 1))


def read_all(content, suffix):
    """What each reader of the format makes of the bytes; None where it refuses with a message."""
    results, refusals = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"raw{suffix}"
        path.write_bytes(content)
        for reader in READERS[suffix]:
            try:
                results.append(reader(path))
            except InputError as error:
                refusals.append(str(error))
                results.append(None)
        assert all(str(path) in refusal and "\n" not in refusal for refusal in refusals)
    return results


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=4000), suffix=st.sampled_from(list(READERS)))
def test_random_bytes(content, suffix):
    assert read_all(content, suffix) == [None] * len(READERS[suffix])


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(WORD, min_size=4, max_size=30),
    mode=st.sampled_from([0, 1, 2, 4, 6, 12, 7, -1]),
    pixels=st.integers(0, 3000),
)
def test_random_mrc_headers(words, mode, pixels):
    """Sizes, mode and extended header that contradict the file, or happen to fit it."""
    words[3] = mode
    header = struct.pack(f"<{len(words)}i", *words).ljust(1024, b"\0")
    images, shape = read_all(header + bytes(pixels), ".mrc")
    if images is not None:
        assert images.shape == shape == tuple(words[2::-1])
        assert np.isfinite(images.astype(np.float64)).all()


@settings(max_examples=200, deadline=None)
@given(
    entries=st.lists(
        st.tuples(
            st.sampled_from([254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 339, 270, 65000]),
            st.integers(0, 14),
            st.integers(0, 5),
            st.integers(0, 400),
        ),
        max_size=14,
    ),
    order=st.sampled_from("<>"),
    rest=st.binary(max_size=600),
)
def test_random_tiff_directories(entries, order, rest):
    """A real first directory whose entries are drawn at random."""
    content = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    content += struct.pack(f"{order}H", len(entries))
    for entry in entries:
        content += struct.pack(f"{order}HHII", *entry)
    content += struct.pack(f"{order}I", 0) + rest
    images, image, header = read_all(content, ".tif")
    if images is not None and image is not None:
        assert images[0].shape[1:] == image.shape
        assert header is not None


def test_damaged_files_of_every_format_are_read_or_refused(tmp_path):
    """Bytes of whole files changed at random, headers and metadata above all, and files cut."""
    frames = np.random.default_rng(0).poisson(60, (9, 20, 24)).astype(np.uint16)
    header = struct.pack("<4i", 24, 20, 9, 6).ljust(96, b"\0") + struct.pack("<h", -16224)
    tifffile.imwrite(tmp_path / "a.tif", frames, ome=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "b.tif", frames, imagej=True, metadata={"axes": "ZYX"})
    (tmp_path / "c.dv").write_bytes(header.ljust(1024, b"\0") + frames.tobytes())
    (tmp_path / "d.gz").write_bytes(gzip.compress((tmp_path / "b.tif").read_bytes()))
    rng = np.random.default_rng(1)
    for path in sorted(tmp_path.iterdir()):
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            places = rng.integers(0, rng.choice([300, 2500, len(whole)]), rng.choice([1, 2, 8]))
            damaged[places % len(whole)] = rng.integers(0, 256, len(places))
            cut = len(whole) if rng.random() < 0.8 else rng.integers(len(whole))
            path.write_bytes(damaged[:cut].tobytes())
            try:
                stacks = read_stacks(path)
            except InputError as error:
                assert path.name in str(error)  # noqa: PT017
            else:
                assert all(stack.raw.shape[1] == 9 for stack in stacks)
