from __future__ import annotations

import pytest
import torch
from autoregressive_cases import B, F, build, speech

from speechkit.models.acoustic.base import Controls


def test_a_frame_depends_on_none_that_comes_later():
    model, given = build("transformer_tts", prenet_dropout=0.0).eval(), speech()
    memory = model.encode(given.tokens, given.token_lens, given)
    frames = torch.randn(B, 9, F, requires_grad=True)
    said, _ = model.decode(frames, model.start(memory, given.token_lens))
    (grad,) = torch.autograd.grad(said.feats[:, 4].sum(), frames)
    assert grad[:, 5:].eq(0).all() and grad[:, :5].ne(0).any(2).all()


def test_a_state_goes_on_by_one_step_and_keeps_what_it_was():
    model, given = build("transformer_tts").eval(), speech()
    state = model.start(model.encode(given.tokens, given.token_lens, given), given.token_lens)
    _, first = model.decode(torch.randn(B, 1, F), state)
    _, second = model.decode(torch.randn(B, 1, F), first)
    assert (state.steps, first.steps, second.steps) == (0, 1, 2)
    assert first.past[0].shape[3] == 1 and second.past[0].shape[3] == 2
    with pytest.raises(AssertionError):
        model.decode(torch.randn(B, 2, F), first)


def test_its_durations_are_the_frames_that_look_at_a_token():
    model, given = build("transformer_tts").eval(), speech()
    said = model.synthesize(given.tokens, given.token_lens, Controls(given.speakers))
    for b, frames in enumerate(said.feat_lens.tolist()):
        expected = torch.bincount(said.alignment[b, :frames].argmax(1), minlength=given.tokens.shape[1])
        assert torch.equal(said.durations[b], expected)
