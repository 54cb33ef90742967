"""What every registered objective must do; a new one is tested by being there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch

import speechkit.objectives  # noqa: F401 - registers them
from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.objectives.base import Objective
from speechkit.text.vocabulary import Vocabulary

B, S, D, V, U = 3, 13, 7, 5, 4
LENS = torch.tensor([13, 8, 11])
TOKEN_LENS = torch.tensor([4, 2, 3])

every_objective = pytest.mark.parametrize("name", sorted(Objective.registry))


def build(name, **options):
    """The objective and its decoder, in double precision and without dropout."""
    torch.manual_seed(0)
    config = Objective.registry[name].Config(**options)
    decoder = config.decoder.build(in_dim=D, vocabulary=Vocabulary(V)).eval()
    return fitted(config.build(vocabulary=Vocabulary(V))), decoder.double()


def fitted(objective):
    """The objective with what it would know of training transcripts."""
    generator = torch.Generator().manual_seed(0)
    transcripts = [torch.randint(1, V - 1, (length,), generator=generator).tolist() for length in (1, 2, 3, 4, 5, 6) * 4]
    with tempfile.TemporaryDirectory() as folder:
        objective.fit(transcripts, Path(folder))
        objective.load(Path(folder))
    return objective.double()


def batch():
    torch.manual_seed(1)
    encoder_out = torch.randn(B, S, D, dtype=torch.float64, requires_grad=True)
    return encoder_out, LENS, Targets(torch.randint(1, V - 1, (B, U)), TOKEN_LENS)


@every_objective
def test_a_loss_is_one_number_per_utterance_and_depends_on_its_own_frames_and_tokens_only(name):
    objective, decoder = build(name)
    encoder_out, lens, targets = batch()
    together = objective(decoder, encoder_out, lens, targets)
    assert together.shape == (B,) and together.isfinite().all()
    for b in range(B):
        s, u = LENS[b : b + 1], TOKEN_LENS[b : b + 1]
        alone = objective(decoder, encoder_out[b : b + 1, :s], s, Targets(targets.tokens[b : b + 1, :u], u))
        torch.testing.assert_close(alone, together[b : b + 1])


@every_objective
def test_padding_of_any_value_changes_neither_loss_nor_gradient_and_gets_no_gradient(name):
    objective, decoder = build(name)
    encoder_out, lens, targets = batch()
    loss = objective(decoder, encoder_out, lens, targets)
    (grad,) = torch.autograd.grad(loss.sum(), encoder_out)
    noisy, noisy_tokens = encoder_out.detach().clone(), targets.tokens.clone()
    for b in range(B):
        noisy[b, LENS[b] :], noisy_tokens[b, TOKEN_LENS[b] :] = 100.0, 77
    noisy.requires_grad_()
    noisy_loss = objective(decoder, noisy, lens, Targets(noisy_tokens, TOKEN_LENS))
    (noisy_grad,) = torch.autograd.grad(noisy_loss.sum(), noisy)
    torch.testing.assert_close(noisy_loss, loss)
    torch.testing.assert_close(noisy_grad, grad)
    assert all(grad[b, LENS[b] :].eq(0).all() and grad[b, : LENS[b]].ne(0).any() for b in range(B))


@every_objective
def test_gradients_are_right_in_double_precision(name):
    objective, decoder = build(name)
    encoder_out, *rest = batch()
    assert torch.autograd.gradcheck(lambda x: objective(decoder, x, *rest), encoder_out, fast_mode=True)


@every_objective
def test_gradients_reach_every_parameter_of_the_decoder_that_the_config_names(name):
    objective, _ = build(name)
    decoder = objective.config.decoder.build(in_dim=D, vocabulary=Vocabulary(V))
    encoder_out, *rest = batch()
    objective(decoder, encoder_out.float(), *rest).sum().backward()
    for parameter in decoder.parameters():
        assert parameter.grad.ne(0).any()


@every_objective
def test_an_utterance_that_cannot_be_aligned_adds_nothing_and_leaves_the_others_alone(name):
    objective, decoder = build(name)
    encoder_out, lens, targets = batch()
    (grad,) = torch.autograd.grad(objective(decoder, encoder_out, lens, targets)[[0, 2]].sum(), encoder_out)
    short = torch.tensor([13, 1, 11])
    alignable = objective.alignable(short, targets)
    if alignable.all():
        return  # as for objectives without a monotonic alignment
    assert alignable.tolist() == [True, False, True]
    loss = objective(decoder, encoder_out, short, targets)
    assert loss[1] == 0
    (short_grad,) = torch.autograd.grad(loss.sum(), encoder_out)
    assert short_grad[1].eq(0).all()
    torch.testing.assert_close(short_grad[[0, 2]], grad[[0, 2]])


@every_objective
def test_an_alignment_gives_each_token_a_time_in_order_and_depends_on_its_own_utterance_only(name):
    objective, decoder = build(name)
    encoder_out, lens, targets = batch()
    if not objective.has_alignments:
        with pytest.raises(ValueError, match=rf"{name}: expected an objective whose paths tell"):
            objective.align(decoder, encoder_out, lens, targets)
        return
    together = objective.align(decoder, encoder_out, lens, targets)
    for b, found in enumerate(together):
        s, u = LENS[b : b + 1], TOKEN_LENS[b : b + 1]
        (alone,) = objective.align(decoder, encoder_out[b : b + 1, :s], s, Targets(targets.tokens[b : b + 1, :u], u))
        assert found.token_times == alone.token_times and found.score == pytest.approx(alone.score)
        assert len(found.token_times) == len(found.confidences) == u and all(0 <= each <= 1 for each in found.confidences)
        borders = [frame for span in found.token_times for frame in span]
        assert borders == sorted(borders) and 0 <= borders[0] and borders[-1] <= s


@every_objective
def test_normalisation_divides_each_loss_by_its_own_length(name):
    encoder_out, lens, targets = batch()
    loss = {}
    for normalize in ("utterance", "token", "frame"):
        objective, decoder = build(name, normalize=normalize)
        loss[normalize] = objective(decoder, encoder_out, lens, targets)
    torch.testing.assert_close(loss["token"] * TOKEN_LENS, loss["utterance"])
    torch.testing.assert_close(loss["frame"] * LENS, loss["utterance"])


@every_objective
@pytest.mark.parametrize("normalize", ["token", "frame"])
def test_an_empty_transcript_and_an_empty_utterance_give_finite_losses(name, normalize):
    objective, decoder = build(name, normalize=normalize)
    encoder_out, _, targets = batch()
    targets = Targets(targets.tokens, torch.tensor([0, 0, 2]))
    loss = objective(decoder, encoder_out, torch.tensor([13, 0, 0]), targets)
    (grad,) = torch.autograd.grad(loss.sum(), encoder_out)
    assert loss.isfinite().all() and grad.isfinite().all()


@every_objective
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_encodings_give_a_float32_loss_close_to_the_exact_one(name, dtype):
    objective, decoder = build(name)
    encoder_out, *rest = batch()
    exact = objective(decoder, encoder_out, *rest)
    half = objective(decoder.to(dtype), encoder_out.to(dtype), *rest)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), exact, rtol=0.02, atol=0)


@every_objective
def test_autocast_leaves_the_loss_in_float32(name):
    objective, decoder = build(name)
    encoder_out, *rest = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(decoder.float(), encoder_out.float(), *rest)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), objective(decoder.double(), encoder_out, *rest), rtol=0.02, atol=0)


@every_objective
def test_a_negative_weight_and_an_unknown_normalisation_are_errors(name):
    config = Objective.registry[name].Config
    with pytest.raises(ConfigError, match="weight"):
        validate(config, {"name": name, "weight": -0.5})
    with pytest.raises(ConfigError, match="normalize"):
        validate(config, {"name": name, "normalize": "batch"})
