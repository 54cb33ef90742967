from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest

from speechkit.report.picture import MAX_COLUMNS, MAX_ROWS, palette, picture, png, spectrogram


def decoded(image):
    """The colours (rows, columns, 3) of an image, read by another library."""
    pillow = pytest.importorskip("PIL.Image")
    data = base64.b64decode(re.search('src="data:image/png;base64,([^"]*)"', image)[1])
    return np.asarray(pillow.open(io.BytesIO(data)).convert("RGB"))


def test_another_library_reads_the_file():
    pillow = pytest.importorskip("PIL.Image")
    levels = np.random.default_rng(0).integers(0, 32, (5, 7)).astype(np.uint8)
    opened = pillow.open(io.BytesIO(png(levels)))
    opened.verify()
    assert np.array_equal(np.asarray(pillow.open(io.BytesIO(png(levels))).convert("RGB")), palette()[levels])


def test_colours_become_lighter_all_the_way():
    lightness = palette().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > 0) and len(np.unique(palette(), axis=0)) == 32


def test_time_goes_right_and_frequency_up():
    values = np.zeros((3, 2))
    values[2, 1] = 1.0  # the last frame, the highest frequency
    found = decoded(picture(values, "x"))
    assert found.shape == (2, 3, 3)
    assert np.array_equal(found[0, 2], palette()[-1]) and np.array_equal(found[1, 2], palette()[0])


def test_what_is_long_is_averaged_to_a_bounded_size():
    values = np.repeat(np.linspace(0, 1, 50), 40)[:, None] * np.ones(1001)
    found = decoded(picture(values, "x"))
    assert found.shape == (MAX_ROWS, MAX_COLUMNS, 3)
    assert np.array_equal(found[0, 0], palette()[0]) and np.array_equal(found[0, -1], palette()[-1])
    assert len(np.unique(found.reshape(-1, 3), axis=0)) == 32


def test_a_spectrogram_is_bright_where_it_is_loudest_however_loud_that_is():
    log_mel = np.array([[-20.0, -3.0], [-7.0, -20.0]])
    found, louder = (decoded(spectrogram(each, "x")) for each in (log_mel, log_mel + 5))
    assert np.array_equal(found, louder) and np.array_equal(found[0, 0], palette()[-1])
    assert np.array_equal(found[1, 0], palette()[0]) and np.array_equal(found[1, 1], palette()[round(31 / 2)])


def test_labels_are_escaped_and_nan_is_dark():
    image = picture(np.array([[np.nan, 1.0]]), '"><b>')
    assert 'alt="&quot;&gt;&lt;b&gt;"' in image and np.array_equal(decoded(image)[1, 0], palette()[0])
