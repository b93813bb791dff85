"""The center of a capture as text."""

import pytest

from stag4d.data import parse_center


def test_center_is_a_choice_or_a_point():
    assert parse_center(" auto ") == "auto"
    assert parse_center("file") == "file"
    assert parse_center("0.5, -1,2e1") == (0.5, -1.0, 20.0)


@pytest.mark.parametrize("text", ["", "none", "1, 2", "1, 2, 3, 4", "1, b, 2", "1, nan, 2", "1, inf, 2"])
def test_other_centers_are_refused(text):
    with pytest.raises(
        ValueError, match=r"^--center: '.*'; expected auto, file, or three numbers as x,y,z\.$"
    ):
        parse_center(text, "--center")
