from __future__ import annotations

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import tiny
from lhotse import CutSet

from speechkit.data.cuts import write_cuts
from speechkit.graphs.aligner import Alignment
from speechkit.tasks.align import Aligner
from speechkit.tasks.base import load_config
from speechkit.tasks.recognizer import Recognizer
from speechkit.text.phone import PhoneTokenizer
from speechkit.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def aligner(trained):
    return Aligner(Recognizer.load(trained))


def recording(path, text, seed=9):
    soundfile.write(path, tiny.waveform(text.split(), np.random.default_rng(seed)), tiny.RATE)
    return path


def true_times(words):
    """Start and end of each word of a tiny waveform in seconds."""
    return [(tiny.GAP + i * (tiny.WORD + tiny.GAP), (i + 1) * (tiny.WORD + tiny.GAP)) for i in range(words)]


def near(found, words):
    return [word.word for word in found] == words and all(
        abs(word.start - start) <= 0.08 and word.start < word.end <= end + 0.08
        for word, (start, end) in zip(found, true_times(len(words)))
    )


def test_words_are_found_where_they_are_said(aligner, tmp_path):
    found = aligner.align_recording(recording(tmp_path / "a.wav", "low high low"), "low high low")
    assert near(found.words, ["low", "high", "low"]) and found.words == found.tokens
    assert (found.id, found.recording, found.channel, found.start) == ("a", "a", 0, 0.0)
    assert found.duration == pytest.approx(3 * 0.35 + 0.15) and found.score < 0
    assert all(0.5 < word.confidence <= 1 for word in found.words)


def test_a_long_recording_is_aligned_as_a_whole(aligner, tmp_path):
    words = ["low", "high", "high"] * 15  # 16 seconds, in pieces of 4
    found = aligner.align_recording(recording(tmp_path / "long.wav", " ".join(words)), " ".join(words))
    assert near(found.words, words)


def test_all_cuts_of_a_set_are_aligned_in_its_order(aligner, trained):
    found, problems = aligner.align_set("test")
    cuts = list(CutSet.from_file(trained.parent / "data" / "test.jsonl.gz"))
    assert problems == [] and [each.id for each in found] == [cut.id for cut in cuts]
    for each, cut in zip(found, cuts):
        assert near(each.words, cut.supervisions[0].text.split())
        assert (each.recording, each.duration) == (cut.recording.id, cut.duration)


def test_cuts_that_cannot_be_aligned_are_named_and_the_others_go_on(aligner, trained, tmp_path):
    first, second, third, fourth = list(CutSet.from_file(trained.parent / "data" / "test.jsonl.gz"))[:4]
    first.supervisions[0].text = "low middle high"
    second.supervisions[0].text = "high " * 100
    third.supervisions[0].text = " "
    write_cuts([first, second, third, fourth], tmp_path / "odd.jsonl.gz")
    found, problems = aligner.align_set(str(tmp_path / "odd.jsonl.gz"))
    assert [each.id for each in found] == [fourth.id]
    assert [problem.split(":")[0] for problem in problems] == [f"cut {cut.id}" for cut in (first, second, third)]
    assert "'middle' in 'low middle high' is outside the vocabulary" in problems[0]
    assert "expected a path for its 100 tokens, got none in" in problems[1]
    assert "expected words to align, got ' ', of which nothing is left to say" in problems[2]


def test_a_part_of_a_recording_says_where_it_lies(aligner, trained, tmp_path):
    cut = next(each for each in CutSet.from_file(trained.parent / "data" / "test.jsonl.gz") if each.duration > 1)
    part = cut.truncate(offset=0.3, duration=0.4, preserve_id=False)
    part.supervisions = [dataclasses.replace(cut.supervisions[0], start=0.0, duration=0.4, text=cut.supervisions[0].text.split()[1])]
    write_cuts([part], tmp_path / "part.jsonl.gz")
    ((found,), _) = aligner.align_set(str(tmp_path / "part.jsonl.gz"))
    assert (found.recording, found.start, found.duration) == (cut.recording.id, 0.3, 0.4)


def test_a_recording_that_cannot_be_aligned_is_named(aligner, tmp_path, monkeypatch):
    path = recording(tmp_path / "a.wav", "low")
    for text, problem in (("low middle", "outside the vocabulary"), ("", "nothing is left"), ("low " * 50, "got none in 0.50 s")):
        with pytest.raises(ValueError, match=rf"a.wav: .*{problem}"):
            aligner.align_recording(path, text)
    monkeypatch.setattr("speechkit.tasks.align.MOST_CELLS", 5)
    with pytest.raises(ValueError, match="a.wav: expected at most 5 frames times tokens, got .* times 1; cut the recording"):
        aligner.align_recording(path, "low")


def test_phones_have_words_above_them(aligner, trained, tmp_path):
    # Two phones with the ids of the model's two words.
    (tmp_path / "lexicon.txt").write_text("both low high\nboth high\nshrill high\n")
    tokenizer = PhoneTokenizer.Config(lexicon=str(tmp_path / "lexicon.txt")).build()
    tokenizer.fit([])
    known = aligner.recognizer
    phones = Aligner(Recognizer(known.config, tokenizer, known.model, known.device, 4.0, trained))
    found = phones.align_recording(recording(tmp_path / "a.wav", "high low high"), "shrill both")
    assert found.unit == "phones" and near(found.tokens, ["high", "low", "high"])
    assert [(word.word, word.start, word.end) for word in found.words] == [
        ("shrill", found.tokens[0].start, found.tokens[0].end), ("both", found.tokens[1].start, found.tokens[2].end),
    ]  # fmt: skip


def untrained(trained, *changes):
    """What choosing an objective reads of a recogniser."""
    config, tokenizer = load_config(trained / "config.yaml", changes), Tokenizer.load(trained / "tokenizer")
    return SimpleNamespace(config=config, tokenizer=tokenizer, model_dir="model")


def test_tokens_of_one_frame_share_it(aligner, tmp_path, monkeypatch):
    times = [(2, 2), (2, 3), (3, 4), (6, 6), (6, 6), (6, 7)]  # as transducers give them
    monkeypatch.setattr(aligner.objective, "align", lambda *args: [Alignment(-1.0, times, [0.5] * 6)])
    found = aligner.align_recording(recording(tmp_path / "a.wav", "low high"), "low high low low high low")
    frame = aligner.recognizer.model.frame_shift
    for spans in (found.words, found.tokens):
        assert [each.start / frame for each in spans] == pytest.approx([2, 2.5, 3, 6, 6 + 1 / 3, 6 + 2 / 3])
        assert [each.end / frame for each in spans] == pytest.approx([2.5, 3, 4, 6 + 1 / 3, 6 + 2 / 3, 7])


def test_an_objective_that_has_no_alignments_or_is_none_is_refused(trained, tmp_path):
    problem = "--objective: the model has no objective 'ctx'; did you mean 'ctc'. it can align with: ctc$"
    with pytest.raises(ValueError, match=problem):
        Aligner(Recognizer.load(trained), "ctx")
    with pytest.raises(ValueError, match="--objective: attention has no alignments; it can align with: ctc, asg$"):
        Aligner(untrained(trained, "objectives.attention=attention", "objectives.asg=asg"), "attention")
    with pytest.raises(ValueError, match="model: expected an objective whose paths tell .*, got attention; take another"):
        Aligner(untrained(trained, "objectives.attention=attention", "objectives.ctc=null"))
    moved = tmp_path / "model"
    shutil.copytree(trained, moved, ignore=shutil.ignore_patterns("decode", "checkpoints", "weights"))
    assert Aligner(Recognizer.load(moved), "ctc").name == "ctc"
