"""Pictures of spectrograms and alignments inside a page: small PNG files of 32 colours, written without any library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from speechkit.report.html import Html, h

NUM_COLOURS = 32
MAX_COLUMNS, MAX_ROWS = 400, 160  # what has more is averaged
RANGE = 8.0  # nepers below the loudest place that a spectrogram shows: 70 dB
# From dark to bright through purple and orange, evenly in lightness, so that it can be read without colours, too.
_ANCHORS = [(13, 10, 34), (66, 15, 104), (132, 32, 107), (194, 57, 79), (236, 105, 37), (251, 168, 26), (250, 250, 190)]


def spectrogram(log_mel: np.ndarray, label: str) -> Html:
    """A picture of natural logarithms of amplitudes (T, F): time to the right, frequency upwards."""
    peak = float(log_mel.max())
    return picture((log_mel - peak) / RANGE + 1.0, label)


def picture(values: np.ndarray, label: str) -> Html:
    """A picture of values (T, F) from 0 (dark) to 1: the first axis to the right, the second upwards."""
    small = _averaged(_averaged(values, MAX_COLUMNS, 0), MAX_ROWS, 1)
    levels = (np.clip(np.nan_to_num(small), 0.0, 1.0) * (NUM_COLOURS - 1)).round().astype(np.uint8)
    source = base64.b64encode(png(levels.T[::-1])).decode()
    return h("img", src=f"data:image/png;base64,{source}", alt=label, width=len(levels), height=levels.shape[1])


def png(levels: np.ndarray) -> bytes:
    """A PNG file of colours (rows, columns) uint8 from 0 to 31 (ISO/IEC 15948), in 8 bits per pixel."""
    rows, columns = levels.shape
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = levels
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = {b"IHDR": header, b"PLTE": palette().tobytes(), b"IDAT": zlib.compress(lines.tobytes(), 9), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks.items())


def palette() -> np.ndarray:
    """(32, 3) uint8: red, green and blue."""
    places = np.linspace(0, len(_ANCHORS) - 1, NUM_COLOURS)
    return np.stack([np.interp(places, range(len(_ANCHORS)), each) for each in zip(*_ANCHORS)], 1).round().astype(np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _averaged(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """At most ``size`` places along an axis, each the mean of its neighbours."""
    if values.shape[axis] <= size:
        return values
    edges = np.linspace(0, values.shape[axis], size + 1).round().astype(int)
    shape = [1, 1]
    shape[axis] = -1
    return np.add.reduceat(values, edges[:-1], axis=axis) / np.diff(edges).reshape(shape)
