from __future__ import annotations

import numpy as np
from transducer_toy import encodings, log_probs_after, toy

from speechkit.decode.scorers.fusion import Fusion
from speechkit.decode.transducer_rows import Rows


def test_rows_that_grew_stayed_or_were_doubled_score_as_their_whole_histories_do():
    decoder, frames = toy(), encodings(3)
    rows = Rows.start(decoder, Fusion({}, 0.0, decoder.vocabulary), {}, 2)
    rows = rows.advance(np.array([1, 0, 1]), np.array([2, 0, 1]))  # 2 | nothing | 1
    rows = rows.advance(np.array([2, 0, 0, 1]), np.array([0, 3, 1, 0])).select(np.array([1, 0, 3]))
    encoded = decoder.joiner.encoder_proj(frames[:1]).expand(3, -1)
    expected = [log_probs_after(decoder, frames[:1], labels)[0] for labels in ((2, 3), (1,), ())]
    found = rows.log_probs(encoded)
    eos = decoder.vocabulary.eos_id
    np.testing.assert_allclose(np.delete(found, eos, 1), np.delete(np.array(expected), eos, 1), rtol=1e-9)
    assert np.isneginf(found[:, eos]).all()


def test_the_length_bonus_is_added_for_each_label_and_not_for_blanks():
    decoder = toy()
    rows = Rows.start(decoder, Fusion({}, 0.5, decoder.vocabulary), {}, 1)
    rows = rows.advance(np.array([0, 0]), np.array([0, 2])).advance(np.array([0, 1, 1]), np.array([1, 0, 3]))
    assert rows.totals().tolist() == [0.5, 0.5, 1.0] and rows.totals(2).tolist() == [1.0]
    assert (rows.added()[:, 1:-1] == 0.5).all() and rows.finals()[0].tolist() == [0.0, 0.0, 0.0]
