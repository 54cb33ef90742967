from __future__ import annotations

import csv
import io
import json

import pytest
from lhotse import SupervisionSegment
from lhotse.cut import MonoCut
from lhotse.testing.dummies import dummy_recording
from rich.console import Console

from speechkit.data.summary import Refused, Summary, bars, summarize


def make_cut(name: str, duration: float, text: str | None, speaker: str = "ann") -> MonoCut:
    said = SupervisionSegment(name, name, 0.0, duration, text=text, speaker=speaker)
    return MonoCut(name, 0.0, duration, channel=0, supervisions=[said], recording=dummy_recording(0, duration))


@pytest.fixture
def summary() -> Summary:
    train = [make_cut("a", 1.0, "hello"), make_cut("b", 4.0, "hold the door", "bob"), make_cut("slow", 10.0, "oh")]
    test = [make_cut("c", 2.0, "hé[llo]")]
    refused = [
        Refused("x", "x.wav", "empty file", "x.wav: empty file: it has\t0 bytes"),
        Refused("y", "y.wav", "missing file", "no audio file [y].wav"),
        Refused("z", "z.wav", "missing file", "no audio file 'z.wav'"),
    ]
    return summarize({"train": train, "test": test}, refused, ["splits are the subfolders"])


def test_counts_are_those_of_the_cuts(summary):
    train = summary.splits["train"]
    assert (train.count, train.speakers, train.hours) == (3, 2, pytest.approx(15 / 3600, abs=1e-4))
    assert train.durations == [1.0, 5.0, 10.0]
    assert train.sampling_rates == {"16000": 3} and train.channels == {"1": 3}
    assert list(train.characters.items())[:4] == [("o", 5), ("h", 4), ("l", 3), (" ", 2)]
    assert train.odd_rates == {"slow": 0.2} and summary.splits["test"].odd_rates == {}


def test_histograms_of_all_splits_share_their_bins(summary):
    assert summary.bins == [float(i) for i in range(11)]
    assert summary.splits["train"].histogram == [0, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert summary.splits["test"].histogram == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_reasons_are_counted_most_frequent_first(summary):
    assert list(summary.reasons.items()) == [("missing file", 2), ("empty file", 1)]


def test_files_hold_everything_in_plain_formats(summary, tmp_path):
    summary.write(tmp_path / "new")
    with open(tmp_path / "new" / "refused.tsv", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["id", "source", "reason", "detail"] and len(rows) == 4
    assert rows[1] == ["x", "x.wav", "empty file", "x.wav: empty file: it has 0 bytes"]
    read = json.loads((tmp_path / "new" / "summary.json").read_text(encoding="utf-8"))
    assert read == summary.to_dict() and read["splits"]["test"]["characters"]["é"] == 1


def render(summary: Summary) -> str:
    out = io.StringIO()
    summary.render(Console(file=out, width=120))
    return out.getvalue()


def test_the_table_shows_what_deserves_a_look(summary):
    text = render(summary)
    assert "hé[llo]" not in text and "[ 1" in text  # brackets are characters here, not markup
    assert "note: splits are the subfolders" in text
    assert "train: 1 utterances outside 2 to 25 characters per second, most of all slow (0.2)" in text
    assert "test: characters that train does not have: [ ] é" in text
    assert "refused: 3" in text and "y: no audio file [y].wav" in text and "space 2" in text


def test_an_empty_split_is_shown_too():
    summary = summarize({"train": []})
    assert summary.splits["train"].count == 0 and summary.splits["train"].durations == [0.0, 0.0, 0.0]
    assert "refused" not in render(summary)


def test_bars_are_proportional_and_never_hide_a_bin():
    assert bars([0.0, 1.0, 2.0, 3.0], [200, 1, 0], width=10) == [
        "  0.00 -   1.00 ########## 200",
        "  1.00 -   2.00 # 1",
        "  2.00 -   3.00  0",
    ]


def test_a_cut_without_transcript_is_named():
    with pytest.raises(ValueError, match="cut mute: expected one supervision with text"):
        summarize({"train": [make_cut("mute", 1.0, None)]})
