from __future__ import annotations

import numpy as np
import pytest
from spoken_toy import RATE, rewrite, voice, write_voice, write_wav

from speechkit.tasks.spoken_sets import choose_spoken_sets, find_spoken_sets, read_place


@pytest.fixture
def spoken(tmp_path):
    write_voice(tmp_path, texts=["low high", "high"])
    return choose_spoken_sets(tmp_path)[0]


def test_the_sets_of_an_experiment_are_found_by_name(tmp_path):
    for name in ("test", "dev"):
        write_voice(tmp_path, name, texts=["low"])
    assert [each.name for each in find_spoken_sets(tmp_path)] == ["dev", "test"]
    assert [each.name for each in choose_spoken_sets(tmp_path, ["test"])] == ["test"]
    with pytest.raises(ValueError, match="--set: expected one of dev, test, got train"):
        choose_spoken_sets(tmp_path, ["train"])


def test_the_natural_speech_is_the_part_of_its_recording(spoken):
    row = spoken.rows[0]
    assert np.array_equal(spoken.read(row, "natural", RATE), voice(0.6, seed=0))
    assert np.array_equal(spoken.read(row, "vocoded", RATE), voice(0.6, seed=50))
    assert len(spoken.read(row, "synthesised", 2 * RATE)) == 2 * round(0.7 * RATE)
    assert spoken.kinds() == ["natural", "vocoded", "synthesised"]


def test_what_is_not_there_is_none(tmp_path):
    write_voice(tmp_path, texts=["low"], vocoded=None, natural=None, alignment=None)
    [spoken] = find_spoken_sets(tmp_path)
    assert spoken.kinds() == ["synthesised"]
    assert spoken.read(spoken.rows[0], "natural", RATE) is None and spoken.alignment(spoken.rows[0]) is None


def test_a_channel_is_taken_and_all_are_averaged_without_one(tmp_path):
    both = np.stack([np.full(100, 0.25), np.full(100, 0.75)], axis=1).astype(np.float32)
    write_wav(tmp_path / "stereo.wav", both)
    place = {"path": str(tmp_path / "stereo.wav")}
    assert np.all(read_place(place | {"channel": 1}, RATE) == 0.75) and np.all(read_place(place, RATE) == 0.5)


@pytest.mark.parametrize("kind, remedy", [("natural", "restore the recordings"), ("synthesised", "speechkit synthesize")])
def test_speech_that_is_gone_is_named_with_its_remedy(tmp_path, kind, remedy):
    write_voice(tmp_path, texts=["low"])
    [spoken] = find_spoken_sets(tmp_path)
    path = spoken.place(spoken.rows[0], kind)["path"]
    (tmp_path / path).unlink()
    with pytest.raises(ValueError, match=f"utterance test-0: expected {kind} speech in {path}, got: .*{remedy}"):
        spoken.read(spoken.rows[0], kind, RATE)


def test_a_channel_that_is_gone_is_an_error_that_names_the_file(spoken):
    row = spoken.rows[0] | {"natural": spoken.rows[0]["natural"] | {"channel": 3}}
    with pytest.raises(ValueError, match="utterance test-0: expected natural speech in .*test-0.wav"):
        spoken.read(row, "natural", RATE)


def test_damaged_alignments_are_named(spoken):
    path = spoken.folder / spoken.rows[0]["alignment"]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="test-0.npy: expected an alignment of utterance test-0"):
        spoken.alignment(spoken.rows[0])
    np.save(path, np.ones(3, np.float16))
    with pytest.raises(ValueError, match=r"expected an alignment \(steps, tokens\), got \(3,\)"):
        spoken.alignment(spoken.rows[0])


def test_nothing_spoken_is_an_error_that_says_what_to_do(tmp_path):
    assert find_spoken_sets(tmp_path) == []
    with pytest.raises(ValueError, match="/synthesis: expected sets that the voice has spoken, found none; run `speechkit"):
        choose_spoken_sets(tmp_path)


@pytest.mark.parametrize("line, problem", [('{"id": "a"', "not valid JSON"), ('{"id": "a"}', "expected an object with id")])
def test_a_damaged_line_is_named_by_its_number(spoken, line, problem):
    path = spoken.folder / "utterances.jsonl"
    path.write_text(path.read_text() + line)
    with pytest.raises(ValueError, match=f"utterances.jsonl:3: {problem}"):
        find_spoken_sets(spoken.folder.parents[1])


def test_a_set_without_utterances_is_none(spoken):
    rewrite(spoken.folder, [])
    assert find_spoken_sets(spoken.folder.parents[1]) == []
