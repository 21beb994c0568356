"""One stack written in many ways gives the same arrays, bit for bit."""

import gzip
import json
import struct
import sys
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.folders import find_stacks
from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.data.selection import distinct
from bayesdl_sim.data.stacks import list_stacks, read_stack, read_stacks
from bayesdl_sim.utils.errors import InputError

SIZE = (36, 48)


def counts(seed, dtype=np.uint16):
    return np.random.default_rng(seed).poisson(60, (9, *SIZE)).astype(dtype) + dtype(100)


A, B, C = (counts(seed) for seed in (1, 2, 3))


def phase_major(frames):
    return frames.reshape(3, 3, *SIZE).swapaxes(0, 1).reshape(9, *SIZE)


def mosaic(frames):
    """(9, H, W) -> (3H, 3W), row by row."""
    grid = frames.reshape(3, 3, *SIZE).transpose(0, 2, 1, 3)
    return grid.reshape(3 * SIZE[0], 3 * SIZE[1])


def orientation_z_phase(stacks):
    """Planes (Z, 9, H, W) as OMX writes them: all planes of an orientation together."""
    return np.stack(stacks).reshape(-1, 3, 3, *SIZE).transpose(1, 0, 2, 3, 4).reshape(-1, *SIZE)


def plain(path, frames, **options):
    tifffile.imwrite(path, frames, **options)
    return path


def as_colours(path, frames):
    """A file that tifffile wrote from an array (..., 3, H, W) without any metadata."""
    return plain(path, frames, photometric="rgb", planarconfig="separate")


def ome(path, frames, axes, names=None, **size):
    metadata = {"axes": axes, **size}
    if names:
        metadata["Channel"] = {"Name": names}
    return plain(path, frames, metadata=metadata, ome=True, photometric="minisblack")


def imagej(path, frames, axes):
    return plain(path, frames, imagej=True, metadata={"axes": axes}, photometric="minisblack")


def mrc(path, frames, dtype="u2"):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(frames.astype(dtype))
        file.voxel_size = 650.0
    return path


def deltavision(path, frames, colours=1, times=1, sequence=0, waves=(525, 605), order="<"):
    """Sections in the order of `sequence`: 0 ZTW, 1 WZT, 2 ZWT, the first fastest."""
    header = bytearray(1024)
    struct.pack_into(f"{order}4i", header, 0, SIZE[1], SIZE[0], len(frames), 6)
    struct.pack_into(f"{order}3i", header, 28, 1, 1, 1)
    struct.pack_into(f"{order}3f", header, 40, 0.08, 0.08, 0.125)
    struct.pack_into(f"{order}i", header, 92, 256)
    struct.pack_into(f"{order}h", header, 96, -16224)
    struct.pack_into(f"{order}2h", header, 180, times, sequence)
    struct.pack_into(f"{order}h5h", header, 196, colours, *waves, *[0] * (5 - len(waves)))
    path.write_bytes(bytes(header) + bytes(256) + frames.astype(f"{order}u2").tobytes())
    return path


def packed(path, source):
    path.write_bytes(gzip.compress(source.read_bytes()))
    return path


def folder_of(path, frames, names):
    path.mkdir()
    for name, frame in zip(names, frames, strict=True):
        tifffile.imwrite(path / name, frame)
    return path


def named(path, source):
    source.rename(path)
    return path


# name -> (writer of the stack A into a folder, what the user says of the layout)
WAYS = {
    "plain TIFF": (lambda d: plain(d / "raw.tif", A), {}),
    "TIFF without description": (lambda d: plain(d / "raw.tif", A, metadata=None), {}),
    "big-endian": (lambda d: plain(d / "raw.tif", A, byteorder=">"), {}),
    "deflated": (lambda d: plain(d / "raw.tif", A, compression="zlib"), {}),
    "tiled": (lambda d: plain(d / "raw.tif", A, tile=(16, 16)), {}),
    "BigTIFF .btf": (lambda d: plain(d / "raw.btf", A, bigtiff=True), {}),
    "a TIFF called .lsm": (lambda d: named(d / "raw.lsm", plain(d / "x.tif", A)), {}),
    "no ending": (lambda d: named(d / "raw", plain(d / "x.tif", A)), {}),
    "wrong ending": (lambda d: named(d / "raw.mrc", plain(d / "x.tif", A)), {}),
    "gzip": (lambda d: packed(d / "raw.tif.gz", plain(d / "x.tif", A)), {}),
    "float32": (lambda d: plain(d / "raw.tif", A.astype(np.float32)), {}),
    "float64": (lambda d: plain(d / "raw.tif", A.astype(np.float64)), {}),
    "uint32": (lambda d: plain(d / "raw.tif", A.astype(np.uint32)), {}),
    "ImageJ Z": (lambda d: imagej(d / "raw.tif", A, "ZYX"), {}),
    "ImageJ C": (lambda d: imagej(d / "raw.tif", A, "CYX"), {}),
    "ImageJ T": (lambda d: imagej(d / "raw.tif", A, "TYX"), {}),
    "ImageJ 3 x 3": (lambda d: imagej(d / "raw.tif", A.reshape(3, 3, *SIZE), "TZYX"), {}),
    "OME Z": (lambda d: ome(d / "raw.ome.tif", A, "ZYX"), {}),
    "OME C": (lambda d: ome(d / "raw.ome.tif", A, "CYX"), {}),
    "OME T of one plane": (lambda d: ome(d / "raw.ome.tif", A[:, None, None], "TZCYX"), {}),
    "array (3, 3, H, W)": (lambda d: as_colours(d / "raw.tif", A.reshape(3, 3, *SIZE)), {}),
    "nine samples": (
        lambda d: plain(d / "raw.tif", np.moveaxis(A, 0, -1).copy(), photometric="minisblack"),
        {},
    ),
    "nine samples, planar": (
        lambda d: plain(d / "raw.tif", A, photometric="minisblack", planarconfig="separate"),
        {},
    ),
    "array (H, W, 9)": (
        lambda d: plain(d / "raw.tif", np.moveaxis(A, 0, -1).copy(), metadata=None),
        {},
    ),
    "mosaic": (lambda d: plain(d / "raw.tif", mosaic(A)), {"mosaic": "3x3"}),
    "mosaic, phases in rows": (
        lambda d: plain(d / "raw.tif", mosaic(phase_major(A))),
        {"mosaic": "3 x 3", "order": "phase,orientation"},
    ),
    "mosaic as MRC": (lambda d: mrc(d / "raw.mrc", mosaic(A)[None]), {"mosaic": "3x3"}),
    "phase-major": (
        lambda d: plain(d / "raw.tif", phase_major(A)),
        {"order": "phase,orientation"},
    ),
    "phase-major, ImageJ": (
        lambda d: imagej(d / "raw.tif", phase_major(A), "ZYX"),
        {"order": "phase, angle"},
    ),
    "3 x 3 phase-major": (
        lambda d: imagej(d / "raw.tif", phase_major(A).reshape(3, 3, *SIZE), "TZYX"),
        {"order": "phase,orientation"},
    ),
    "MRC": (lambda d: mrc(d / "raw.mrc", A), {}),
    "MRC, int16": (lambda d: mrc(d / "raw.mrc", A, "i2"), {}),
    "MRC, big-endian": (lambda d: mrc(d / "raw.map", A, ">u2"), {}),
    "MRC, gzip": (lambda d: packed(d / "raw.mrc.gz", mrc(d / "x.mrc", A)), {}),
    "DeltaVision": (lambda d: deltavision(d / "raw.dv", A), {}),
    "DeltaVision, big-endian": (lambda d: deltavision(d / "raw.dv", A, order=">"), {}),
    "a wide-field image at the end": (
        lambda d: plain(d / "raw.tif", np.concatenate([A, A.mean(0, keepdims=True).astype("u2")])),
        {"frames": "1-9"},
    ),
    "a dark frame first": (
        lambda d: plain(d / "raw.tif", np.concatenate([A[:1] // 9, A])),
        {"frames": "2-10"},
    ),
    "frames that were interrupted": (
        lambda d: plain(d / "raw.tif", np.concatenate([A[:4], B[:1], A[4:]])),
        {"frames": "1-4,6-10"},
    ),
    "folder": (lambda d: folder_of(d / "raw", A, [f"f{n}.tif" for n in range(4, 13)]), {}),
    "folder, phase first": (
        lambda d: folder_of(
            d / "raw",
            phase_major(A),
            [f"phase{p}_angle{o}.tif" for p in range(3) for o in range(3)],
        ),
        {"order": "phase,orientation"},
    ),
    "two colours, OME": (
        lambda d: ome(d / "raw.ome.tif", np.stack([B, A]), "CZYX", ["488", "561"]),
        {"channel": "561"},
    ),
    "two colours, ImageJ": (
        lambda d: imagej(d / "raw.tif", np.stack([B, A], axis=1), "ZCYX"),
        {"channel": "2"},
    ),
    "three planes of OMX": (
        lambda d: plain(d / "raw.tif", orientation_z_phase([B, A, C])),
        {"order": "orientation,z,phase", "plane": 2},
    ),
    "DeltaVision, two colours": (
        lambda d: deltavision(d / "raw.dv", np.concatenate([B, A]), colours=2),
        {"channel": "605"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_arrays_are_equal_bit_for_bit(tmp_path, way):
    write, layout = WAYS[way]
    path = write(tmp_path)
    layout = FrameLayout(**layout)
    assert path in find_stacks(path, layout)
    stack = read_stack(path, layout)
    assert stack.raw.dtype == np.float32
    assert stack.raw.flags.c_contiguous
    assert stack.raw.shape == (1, 9, *SIZE)
    assert stack.raw[0].tobytes() == A.astype(np.float32).tobytes()
    assert stack.warnings == ()
    assert stack.name.startswith("raw")


def planes_and_colours():
    """Nine frames of each of two planes, in two colours: (18, 2, H, W)."""
    colours = np.stack([[A, B], [B, C]])  # (colour, plane, frame, H, W)
    return colours.transpose(1, 2, 0, 3, 4).reshape(18, 2, *SIZE)


# name -> (writer of several stacks, layout, names of the stacks, the stacks, part of a note)
SEVERAL = {
    "colours, OME": (
        lambda d: ome(d / "raw.ome.tif", np.stack([A, B]), "CZYX", ["488", "561 nm"]),
        {},
        ["raw_488", "raw_561-nm"],
        [A, B],
        "axes CZYX 2x9x36x48 read as 2 colours of nine frames",
    ),
    "colours interleaved, ImageJ": (
        lambda d: imagej(d / "raw.tif", np.stack([A, B], axis=1), "ZCYX"),
        {},
        ["raw_C1", "raw_C2"],
        [A, B],
        "axes ZCYX 9x2x36x48 read as 2 colours of nine frames",
    ),
    "planes, frames as colours": (
        lambda d: imagej(d / "raw.tif", np.stack([A, B, C]), "ZCYX"),
        {},
        ["raw_Z1", "raw_Z2", "raw_Z3"],
        [A, B, C],
        "axes ZCYX 3x9x36x48 read as 3 planes of nine frames",
    ),
    "planes, OMX order": (
        lambda d: plain(d / "raw.tif", orientation_z_phase([A, B])),
        {"order": "orientation,z,phase"},
        ["raw_Z1", "raw_Z2"],
        [A, B],
        "18 images of 36x48 px read as 2 planes of nine frames",
    ),
    "planes and colours": (
        lambda d: imagej(d / "raw.tif", planes_and_colours(), "ZCYX"),
        {},
        ["raw_C1_Z1", "raw_C1_Z2", "raw_C2_Z1", "raw_C2_Z2"],
        [A, B, B, C],
        "read as 2 colours x 2 planes of nine frames",
    ),
    "DeltaVision, colours fastest": (
        lambda d: deltavision(
            d / "raw.dv", np.stack([A, B], axis=1).reshape(18, *SIZE), colours=2, sequence=1
        ),
        {},
        ["raw_525", "raw_605"],
        [A, B],
        "axes TZCYX 1x9x2x36x48 read as 2 colours of nine frames",
    ),
    "folder of two colours": (
        lambda d: folder_of(
            d / "raw", [*A, *B], [f"{dye}_{n}.tif" for dye in ("GFP", "RFP") for n in range(9)]
        ),
        {},
        ["raw_GFP", "raw_RFP"],
        [A, B],
        "",
    ),
}


@pytest.mark.parametrize("way", SEVERAL)
def test_colours_and_planes_are_stacks_of_their_own(tmp_path, way):
    write, layout, names, arrays, note = SEVERAL[way]
    path = write(tmp_path)
    stacks = read_stacks(path, FrameLayout(**layout))
    assert [stack.name for stack in stacks] == names
    for stack, frames in zip(stacks, arrays, strict=True):
        np.testing.assert_array_equal(stack.raw[0], frames)
        assert note in " ".join(stack.notes)
    with pytest.raises(InputError, match=f"holds {len(names)} stacks .{names[0]}, .*choose one by"):
        read_stack(path, FrameLayout(**layout))
    # Each by itself, in any order, after the others or not.
    entries = list_stacks(path, FrameLayout(**layout))
    for entry, frames in [*zip(entries, arrays, strict=True)][::-1]:
        np.testing.assert_array_equal(entry.read().raw[0], frames)
        np.testing.assert_array_equal(entry.read().raw[0], frames)


def test_positions_of_an_ome_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "raw.ome.tif", ome=True) as writer:
        for frames in (A, B):
            writer.write(frames, metadata={"axes": "CYX"}, photometric="minisblack")
    first, second = read_stacks(tmp_path / "raw.ome.tif")
    assert (first.name, second.name) == ("raw_P1", "raw_P2")
    np.testing.assert_array_equal(second.raw[0], B)
    assert "2 series read as 2 positions" in first.notes
    one = read_stack(tmp_path / "raw.ome.tif", FrameLayout(position=2))
    assert one.name == "raw_P2"
    np.testing.assert_array_equal(one.raw[0], B)
    with pytest.raises(InputError, match="position: .*raw.ome.tif has positions 1 to 2, found 3"):
        read_stacks(tmp_path / "raw.ome.tif", FrameLayout(position=3))


# Time stays time, wherever it is written.
TIMES = {
    "pages": lambda d: plain(d / "raw.tif", np.concatenate([A, B])),
    "array (T, 9, H, W)": lambda d: plain(d / "raw.tif", np.stack([A, B])),
    "array (9, T, H, W)": lambda d: plain(d / "raw.tif", np.stack([A, B], axis=1)),
    "array (T, 3, 3, H, W)": lambda d: as_colours(
        d / "raw.tif", np.stack([A, B]).reshape(2, 3, 3, *SIZE)
    ),
    "ImageJ TZ": lambda d: imagej(d / "raw.tif", np.stack([A, B]), "TZYX"),
    "ImageJ T": lambda d: imagej(d / "raw.tif", np.concatenate([A, B]), "TYX"),
    "ImageJ TC": lambda d: imagej(d / "raw.tif", np.stack([A, B]), "TCYX"),
    "OME TC": lambda d: ome(d / "raw.ome.tif", np.stack([A, B]), "TCYX"),
    "two TIFF series": lambda d: two_series(d / "raw.tif"),
    "MRC": lambda d: mrc(d / "raw.mrc", np.concatenate([A, B])),
    "DeltaVision": lambda d: deltavision(d / "raw.dv", np.concatenate([A, B]), times=2),
    "folder": lambda d: folder_of(
        d / "raw", [*A, *B], [f"t{t}_p{p}.tif" for t in range(2) for p in range(9)]
    ),
    "folder, time last": lambda d: folder_of(
        d / "raw",
        [frame for pair in zip(A, B, strict=True) for frame in pair],
        [f"p{p}_t{t}.tif" for p in range(9) for t in range(2)],
    ),
}


def two_series(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(A)
        writer.write(B)
    return path


@pytest.mark.parametrize("way", TIMES)
def test_time_points(tmp_path, way):
    path = TIMES[way](tmp_path)
    stack = read_stack(path)
    assert "read as 2 time points of nine frames" in stack.notes[-1]
    np.testing.assert_array_equal(stack.raw, np.stack([A, B]))
    assert find_stacks(path) == [path]


def test_a_plain_stack_of_fiji_is_a_time_series(tmp_path):
    """Fiji calls the images of any stack slices; only a hyperstack has planes."""
    description = "ImageJ=1.54f\nimages=18\nslices=18\n"
    plain(tmp_path / "raw.tif", np.concatenate([A, B]), description=description, metadata=None)
    assert read_stack(tmp_path / "raw.tif").raw.shape[0] == 2


def test_thumbnails_are_left_out_and_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / "raw.ome.tif", ome=True) as writer:
        writer.write(A[0, ::2, ::2], metadata={"axes": "YX"})
        writer.write(A, metadata={"axes": "CYX"}, photometric="minisblack")
    stack = read_stack(tmp_path / "raw.ome.tif")
    np.testing.assert_array_equal(stack.raw[0], A)
    assert stack.name == "raw"
    left_out = "left out: 1 image of 18x24 px, no frames of a stack (a thumbnail or preview)"
    assert left_out in stack.notes
    with tifffile.TiffWriter(tmp_path / "raw.tif") as writer:
        writer.write(A, metadata=None)
        writer.write(A[0, ::2, ::2], metadata=None)
    np.testing.assert_array_equal(read_stack(tmp_path / "raw.tif").raw[0], A)


def test_images_of_one_size_and_several_types_are_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / "raw.tif") as writer:
        writer.write(A[:5], metadata=None, photometric="minisblack")
        writer.write(A[:4].astype(np.uint8), metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match=r"kinds \(36x48 uint16, 36x48 uint8\)"):
        read_stack(tmp_path / "raw.tif")


def test_long_names_of_colours_stay_different_names_of_stacks(tmp_path):
    lines = [f"Structured illumination excitation 488 nm GFP {side} camera" for side in "lr"]
    metadata = {"axes": "CTYX", "Channel": {"Name": lines}}
    tifffile.imwrite(tmp_path / "raw.ome.tif", np.stack([A, B]), metadata=metadata)
    first, second = (stack.name for stack in read_stacks(tmp_path / "raw.ome.tif"))
    assert first != second
    assert first.endswith("-1")


def test_names_that_occur_again_get_numbers_that_no_other_name_has():
    assert distinct(["GFP", "gfp", "GFP-1", "red"]) == ["GFP-2", "gfp-3", "GFP-1", "red"]
    assert distinct(["A", "B"]) == ["A", "B"]


def test_names_of_stacks_in_a_folder_that_differ_in_signs_alone(tmp_path):
    for joint, frames in (("-", A), ("_", B)):
        for number, frame in enumerate(frames):
            tifffile.imwrite(tmp_path / f"red{joint}{number}.tif", frame)
    found = {stack.name[-1]: stack.raw[0] for stack in read_stacks(tmp_path)}
    np.testing.assert_array_equal(found["1"], A)
    np.testing.assert_array_equal(found["2"], B)


@pytest.mark.parametrize(("pattern", "turned"), [("p{}_t{}.tif", True), ("a{}_b{}.tif", False)])
def test_nine_time_points_that_are_counted_last(tmp_path, pattern, turned):
    series = np.stack([A[0] + np.uint16(number) for number in range(81)])
    for number, image in enumerate(series):
        tifffile.imwrite(tmp_path / pattern.format(*divmod(number, 9)), image)
    (stack,) = read_stacks(tmp_path)
    frames = series.reshape(9, 9, *SIZE)
    np.testing.assert_array_equal(stack.raw, frames.swapaxes(0, 1) if turned else frames)


def test_the_layout_of_a_folder_keeps_its_frames(tmp_path):
    for number, frame in enumerate([*A, *B[:3]]):
        tifffile.imwrite(tmp_path / f"{number}.tif", frame)
    (entry,) = list_stacks(tmp_path, FrameLayout(frames="1-9"))
    (again,) = list_stacks(tmp_path, entry.layout)
    np.testing.assert_array_equal(again.read().raw, entry.read().raw)


def test_wavelengths_and_pixels_of_ome(tmp_path):
    metadata = {
        "axes": "CZYX",
        "Channel": {"Name": ["A", "A"], "EmissionWavelength": [525, 610]},
        "PhysicalSizeX": 0.065,
        "PhysicalSizeY": 0.13,
    }
    tifffile.imwrite(tmp_path / "raw.ome.tif", np.stack([A, B]), ome=True, metadata=metadata)
    green, red = read_stacks(tmp_path / "raw.ome.tif")
    assert (green.name, red.name) == ("raw_A-1", "raw_A-2")
    assert (green.wavelength_nm, red.wavelength_nm) == (525, 610)
    assert green.pixel_size_nm == pytest.approx(65)
    assert "pixels are 65 nm wide and 130 nm high" in green.warnings[0]
    assert read_stack(tmp_path / "raw.ome.tif", FrameLayout(channel="610")).name == "raw_A-2"
    with pytest.raises(InputError, match="channel: .*no colour 'blue'; found A-1, A-2"):
        read_stacks(tmp_path / "raw.ome.tif", FrameLayout(channel="blue"))


def test_the_objective_of_ome(tmp_path):
    path = tmp_path / "raw.ome.tif"
    metadata = {"axes": "ZYX", "Channel": {"EmissionWavelength": 525, "ExcitationWavelength": 488}}
    tifffile.imwrite(path, A, ome=True, metadata=metadata)
    xml = tifffile.tiffcomment(path)
    lenses = "".join(f'<Objective ID="O:{n}" LensNA="{na}"/>' for n, na in enumerate((0.8, 1.4)))
    with_lenses = xml.replace("<Image ", f'<Instrument ID="I:0">{lenses}</Instrument><Image ', 1)
    named = with_lenses.replace("<Pixels ", '<ObjectiveSettings ID="O:1"/><Pixels ', 1)
    apertures = {}
    for name, text in {"none": xml, "two": with_lenses, "named": named}.items():
        tifffile.tiffcomment(path, text)
        stack = read_stack(path)
        apertures[name] = (stack.na, stack.emission_nm)
    # Of two objectives, the image must say which.
    assert apertures == {"none": (None, 525), "two": (None, 525), "named": (1.4, 525)}
    tifffile.tiffcomment(path, named.replace('LensNA="1.4"', 'LensNA="63"'))
    assert read_stack(path).na is None  # a magnification is no aperture


OTHER_SIM = {
    "15 frames": ((15, *SIZE), "holds 15 images .3 orientations x 5 phases.*5 phases: not supp"),
    "15 frames of 2 planes": ((30, *SIZE), "5 phases: not supported"),
    "25 frames": ((25, *SIZE), "5 orientations x 5 phases: 5 phases: not supported"),
    "7 frames": ((7, *SIZE), "7 frames, hexagonal patterns: not supported"),
    "7 frames, 2 colours": ((7, 2, *SIZE), "7 frames, hexagonal patterns: not supported"),
    "10 images": ((10, *SIZE), "holds 10 images; .* or choose the frames .such as 1-9"),
    "one image": (SIZE, "holds a single 2-D image; .* or the mosaic"),
}


@pytest.mark.parametrize("kind", OTHER_SIM)
def test_other_kinds_of_sim_are_refused_by_name(tmp_path, kind):
    shape, message = OTHER_SIM[kind]
    frames = np.random.default_rng(0).poisson(60, shape).astype(np.uint16)
    imagej(tmp_path / "raw.tif", frames, {2: "YX", 3: "ZYX", 4: "ZCYX"}[len(shape)])
    with pytest.raises(InputError, match=message) as error:
        read_stack(tmp_path / "raw.tif")
    assert str(error.value).startswith(str(tmp_path / "raw.tif"))


def test_a_tenth_image_in_a_folder_is_named(tmp_path):
    folder = folder_of(tmp_path / "raw", A, [f"raw_{n}.tif" for n in range(9)])
    tifffile.imwrite(folder / "widefield.tif", A[0])
    assert find_stacks(folder) == [folder]
    with pytest.raises(InputError, match="widefield.tif is not one of nine frames"):
        read_stack(folder)
    stack = read_stack(folder, FrameLayout(frames="1-9"))
    np.testing.assert_array_equal(stack.raw[0], A)
    with pytest.raises(InputError, match="frames: image 11 was requested, but .* holds 10"):
        read_stack(folder, FrameLayout(frames="3-11"))


def test_a_git_lfs_pointer_is_named(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 59792799\n"
    (tmp_path / "raw.tif").write_text(text)
    with pytest.raises(InputError, match="is a Git LFS pointer.*git lfs pull"):
        read_stack(tmp_path / "raw.tif")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "is a PNG picture, but TIFF, MRC"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "is an HDF5 file"),
        (b"any text", "is no format that is known"),
    ],
)
def test_other_formats_are_named(tmp_path, content, words):
    (tmp_path / "raw.bin").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_stack(tmp_path / "raw.bin")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"order": "phase"}, "order: expected one orientation"),
        ({"frames": "0-8"}, "frames: expected numbers from 1"),
        ({"frames": "9-1"}, "frames: expected numbers from 1"),
        ({"frames": "all"}, "frames: expected numbers from 1"),
        ({"mosaic": "3"}, "mosaic: expected rows x columns such as 3x3, found '3'"),
        ({"mosaic": "2x4"}, "mosaic: expected nine frames such as 3x3, found 2x4"),
        ({"position": 0}, "position: expected a number from 1, found 0"),
        ({"plane": -1}, "plane: expected a number from 1, found -1"),
    ],
)
def test_layouts_of_no_file_are_refused(layout, message):
    with pytest.raises(InputError, match=message):
        FrameLayout(**layout)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"mosaic": "3x3"}, "images of 20x48 px cannot be cut into 3x3"),
        ({"frames": "1-19"}, "frames: image 19 was requested, but there are 18"),
        ({"plane": 2}, "plane: .* has planes 1 to 1, found 2"),
        ({"order": "orientation,z=4,phase"}, "18 images are not a whole number of stacks"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(tmp_path, layout, message):
    plain(tmp_path / "raw.tif", np.concatenate([A, B])[:, :20])
    with pytest.raises(InputError, match=message):
        read_stack(tmp_path / "raw.tif", FrameLayout(**layout))


def test_orientations_and_phases_that_the_file_names(tmp_path):
    """OME's modulo annotation: phases along Z, angles along T, whatever the stated order."""
    frames = phase_major(A).reshape(3, 3, *SIZE)  # (phase, angle, H, W)
    annotation = (
        '<StructuredAnnotations xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<XMLAnnotation ID="Annotation:0" Namespace="openmicroscopy.org/omero/dimension/modulo">'
        '<Value><Modulo namespace="http://www.openmicroscopy.org/Schemas/Additions/2011-09">'
        '<ModuloAlongZ Type="phase" Start="0" End="2" Step="1"/>'
        '<ModuloAlongT Type="angle" Start="0" End="2" Step="1"/>'
        "</Modulo></Value></XMLAnnotation></StructuredAnnotations>"
    )
    ome(tmp_path / "raw.ome.tif", frames, "ZTYX")
    with tifffile.TiffFile(tmp_path / "raw.ome.tif") as file:
        xml = file.ome_metadata
    xml = xml.replace("<Image ID=", annotation + "<Image ID=", 1)
    xml = xml.replace("</Image>", '<AnnotationRef ID="Annotation:0"/></Image>', 1)
    plain(
        tmp_path / "named.ome.tif",
        frames,
        description=xml,
        metadata=None,
        photometric="minisblack",
    )
    stack = read_stack(tmp_path / "named.ome.tif")
    np.testing.assert_array_equal(stack.raw[0], A)
    assert "read as nine frames, phase by phase" in stack.notes[0]


def test_czi(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    path = tmp_path / "raw.czi"
    with czi.create_czi(str(path)) as file:
        for z in range(9):
            for c, frames in enumerate((A, B)):
                file.write(frames[z], plane={"Z": z, "C": c, "T": 0})
        file.write_metadata(
            "raw", channel_names={0: "AF488", 1: "AF561"}, scale_x=65e-9, scale_y=65e-9
        )
    first, second = read_stacks(path)
    assert (first.name, second.name) == ("raw_AF488", "raw_AF561")
    np.testing.assert_array_equal(first.raw[0], A)
    np.testing.assert_array_equal(second.raw[0], B)
    assert first.pixel_size_nm == pytest.approx(65)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="cannot be read as CZI"):
        read_stacks(path)


class Nd2File:
    """The part of the package nd2 that is used; it has no writer to make a real file with."""

    sizes = {"T": 2, "P": 2, "C": 9, "Y": SIZE[0], "X": SIZE[1]}  # noqa: RUF012
    dtype = np.dtype(np.uint16)
    metadata = SimpleNamespace(channels=[])

    def __init__(self, path):
        assert json.loads(path.read_bytes()[4:]) == "an ND2 file"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def voxel_size(self):
        return SimpleNamespace(x=0.065, y=0.065, z=1.0)

    def asarray(self):
        return np.stack([[A, B], [B, C]])


def test_nd2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nd2", SimpleNamespace(ND2File=Nd2File))
    (tmp_path / "raw.nd2").write_bytes(b'\xda\xce\xbe\x0a"an ND2 file"')
    first, second = read_stacks(tmp_path / "raw.nd2")
    assert (first.name, second.name) == ("raw_P1", "raw_P2")
    np.testing.assert_array_equal(first.raw, np.stack([A, B]))
    np.testing.assert_array_equal(second.raw, np.stack([B, C]))
    assert first.pixel_size_nm == pytest.approx(65)


@pytest.mark.parametrize(("name", "start"), [("czi", b"ZISRAWFILE"), ("nd2", b"\xda\xce\xbe\x0a")])
def test_a_missing_reader_is_named(tmp_path, monkeypatch, name, start):
    for module in ("pylibCZIrw.czi", "nd2"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / f"raw.{name}").write_bytes(start + bytes(100))
    with pytest.raises(InputError, match=rf"raw.{name} needs a reader .*pip install .*\[{name}\]"):
        read_stack(tmp_path / f"raw.{name}")


def test_a_header_that_declares_more_than_memory_is_refused_at_once(tmp_path):
    """A sparse file of 2 TB is as long as its header says; nothing of it may be allocated."""
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 400_000, 300_000, 9, 6)
    with (tmp_path / "raw.mrc").open("wb") as file:
        file.write(header)
        file.truncate(1024 + 400_000 * 300_000 * 9 * 2)
    with pytest.raises(InputError, match="raw.mrc does not fit into memory .QYX 9x300000x400000"):
        read_stack(tmp_path / "raw.mrc")
    # An extended header that is said to be larger than the file, in one byte order or the other.
    for order in "<>":
        struct.pack_into("<4i", header, 0, 48, 36, 9, 6)
        struct.pack_into(f"{order}i", header, 92, 1_200_000_000)
        (tmp_path / "raw.mrc").write_bytes(bytes(header) + bytes(10_000))
        with pytest.raises(InputError, match="raw.mrc"):
            read_stack(tmp_path / "raw.mrc")


def test_control_characters_of_names_are_written_out(tmp_path):
    (tmp_path / "raw\x1b[2J.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"raw\\x1b\[2J.tif"):
        read_stack(tmp_path / "raw\x1b[2J.tif")
