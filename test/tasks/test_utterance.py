from __future__ import annotations

import numpy as np
import pytest
import soundfile

from speechkit.tasks.utterance import Utterance, join, silence


def said(frames, **more):
    samples = np.linspace(-0.5, 0.5, 5 * frames, dtype=np.float32)
    return Utterance(samples, 500, "a", ("a",), (frames,), 0.01, **more)


def test_silence_has_whole_frames():
    found = silence(0.034, 500, 5)
    assert found.token_frames == (3,) and found.samples.shape == (15,) and not found.samples.any()
    assert found.samples.dtype == np.float32 and found.duration == 0.03 and found.frame_shift == 0.01


def test_parts_become_one_whose_tokens_still_make_up_its_samples():
    parts = [said(3, pitch=np.full(3, 90.0)), silence(0.02, 500, 5), said(4, pitch=np.full(4, 80.0), finished=False)]
    whole = join(parts, "a. a")
    assert whole.tokens == ("a", "<pause>", "a") and whole.token_frames == (3, 2, 4) and whole.text == "a. a"
    assert 5 * sum(whole.token_frames) == len(whole.samples) and not whole.finished
    assert whole.pitch.tolist() == [90.0] * 3 + [0.0] * 2 + [80.0] * 4
    assert join([said(3), silence(0.02, 500, 5)], "a").pitch is None


def test_only_one_passage_has_an_alignment():
    weights = np.ones((3, 1), np.float32)
    assert join([said(3, alignment=weights)], "a").alignment is weights
    assert join([said(3, alignment=weights), said(3, alignment=weights)], "a").alignment is None


def test_samples_at_the_limits_are_counted():
    found = Utterance(np.array([1.0, -1.0, 0.999, 0.0], np.float32), 500, "a")
    assert found.num_clipped == 2


def test_it_is_saved_in_the_format_of_the_name_whole_or_not_at_all(tmp_path):
    said(3).save(tmp_path / "a.wav")
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 500
    np.testing.assert_allclose(samples, said(3).samples, atol=1 / 32768)
    with pytest.raises(TypeError, match="No format"):
        said(3).save(tmp_path / "a.strange")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
