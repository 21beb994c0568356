"""What the metadata of vendors' files say, whether or not their readers are installed."""

import pytest

from bayesdl_sim.data.formats.vendors import _czi_metadata

CHANNEL = {"@Name": "AF488", "EmissionWavelength": "525", "ExcitationWavelength": "488.0"}


def document(channels, distances, aperture="1.4"):
    image = {"Dimensions": {"Channels": {"Channel": channels}}}
    objective = {"@Id": "Objective:1", "LensNA": aperture}
    information = {"Image": image, "Instrument": {"Objectives": {"Objective": objective}}}
    scaling = {"Items": {"Distance": distances}}
    return {"ImageDocument": {"Metadata": {"Information": information, "Scaling": scaling}}}


def metres(x, y):
    return [{"@Id": "X", "Value": str(x)}, {"@Id": "Y", "Value": str(y)}]


def test_colours_aperture_and_pixel_size_of_a_czi():
    (channel,), sizes = _czi_metadata(document(CHANNEL, metres(6.5e-8, 6.4e-8)))
    assert (channel.name, channel.emission_nm, channel.excitation_nm) == ("AF488", 525, 488)
    assert channel.na == pytest.approx(1.4)
    assert sizes == pytest.approx((65.0, 64.0))  # metres in the file


def test_what_is_odd_in_a_czi_is_left_out():
    odd = [CHANNEL, {"EmissionWavelength": "red"}]
    channels, sizes = _czi_metadata(document(odd, metres(6.5e-8, 1.0), aperture="oil"))
    assert [channel.name for channel in channels] == ["AF488", ""]
    assert channels[1].emission_nm is None
    assert channels[0].na is None
    assert sizes == (pytest.approx(65.0), None)  # no pixel is a metre high
    assert _czi_metadata({}) == ((), (None, None))
