"""What holds for every acoustic model with attention."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from autoregressive_cases import SPEAKERS, TINY, B, F, T, U, build, speech, without_dropout

from speechkit.models.acoustic.base import Controls
from speechkit.objectives.speech import SpeechObjective

every_model = pytest.mark.parametrize("name", sorted(TINY))


UPDATES = {"tacotron": 100, "tacotron2": 120, "transformer_tts": 100}


def total(model, learned):
    wanted = {"mel": {"name": "mse"}, "mel_before": {"name": "mse"}, "stop": {"name": "bce"}}
    wanted["guided"] = {"name": "guided_attention"}
    losses = []
    for of, options in wanted.items():
        kind = SpeechObjective.registry[options["name"]]
        kind.check(of, model.gives)
        losses.append(kind.Config().build(of=of)(learned))
    return torch.stack(losses)


@every_model
@pytest.mark.parametrize("reduction_factor", [1, 3])
def test_it_gives_what_its_losses_judge(name, reduction_factor):
    model, given = build(name, reduction_factor=reduction_factor), speech()
    learned = model(given)
    assert learned.compared["mel"].predicted.shape == (B, T, F)
    steps = -(-T // reduction_factor)
    assert learned.compared["stop"].predicted.shape == (B, steps * reduction_factor)
    assert learned.alignment.weights.shape == (B, steps, U)
    torch.testing.assert_close(learned.alignment.weights.sum(2), torch.ones(B, steps))
    assert total(model, learned).isfinite().all()


@every_model
def test_padding_does_not_change_what_is_learned(name):
    model, given = build(name, reduction_factor=2, **without_dropout(name)).eval(), speech()
    together = total(model, model(given))
    for b in range(B):
        frames, tokens = int(given.feat_lens[b]), int(given.token_lens[b])
        row = {f.name: v[b : b + 1] for f in dataclasses.fields(given) if (v := getattr(given, f.name)) is not None}
        row["tokens"], row["feats"] = row["tokens"][:, :tokens], row["feats"][:, :frames]
        row["durations"] = row["durations"][:, :tokens]
        torch.testing.assert_close(total(model, model(type(given)(**row)))[:, 0], together[:, b])


@every_model
def test_gradients_reach_every_parameter(name):
    model, given = build(name, reduction_factor=2), speech()
    total(model, model(given)).sum().backward()
    left_out = [key for key, each in model.named_parameters() if each.grad is None or not each.grad.isfinite().all()]
    still = [key for key, each in model.named_parameters() if each.grad is not None and each.grad.eq(0).all()]
    assert not left_out and not still


@every_model
@pytest.mark.parametrize("reduction_factor", [1, 2])
def test_step_by_step_it_says_the_same_as_all_at_once_when_it_hears_the_same_frames(name, reduction_factor):
    model = build(name, reduction_factor=reduction_factor).eval()
    frames, given = torch.randn(B, 6, F), speech()
    memory = model.encode(given.tokens, given.token_lens, given)
    seed = torch.Generator().manual_seed(5)
    whole, _ = model.decode(frames, model.start(memory, given.token_lens), generator=seed)
    seed, state = torch.Generator().manual_seed(5), model.start(memory, given.token_lens)
    for s in range(6):
        one, state = model.decode(frames[:, s : s + 1], state, generator=seed)
        span = slice(s * reduction_factor, (s + 1) * reduction_factor)
        torch.testing.assert_close(one.feats, whole.feats[:, span])
        torch.testing.assert_close(one.stop, whole.stop[:, span])
        torch.testing.assert_close(one.weights, whole.weights[:, s : s + 1])


@every_model
@pytest.mark.parametrize("reduction_factor", [1, 3])
def test_free_running_says_what_synthesis_says_and_gradients_go_back_through_it(name, reduction_factor):
    options = {"reduction_factor": reduction_factor, "stop_threshold": 0.999, "max_token_seconds": 0.2}
    model, given = build(name, **without_dropout(name), **options).eval(), speech()
    memory = model.encode(given.tokens, given.token_lens, given)
    free = model.follow(given, memory, own=1.0)
    said = model.synthesize(given.tokens, given.token_lens, Controls(given.speakers))
    torch.testing.assert_close(model.postnet(free.feats[:, :T], given.feat_lens)[0], said.feats[0, :T], atol=1e-5, rtol=1e-4)
    steps = -(-T // reduction_factor)
    assert free.states.shape[:2] == (B, steps) and free.weights.shape == (B, steps, U)
    (first,) = torch.autograd.grad(free.states[:, -1].sum(), model.decoder.out.bias)
    assert first.ne(0).any()  # of what was said before the last step, and then heard


@every_model
def test_what_a_step_hears_is_told_or_its_own(name):
    model, given = build(name, **without_dropout(name)).eval(), speech()
    memory = model.encode(given.tokens, given.token_lens, given)
    told, one_by_one, half, free = (model.follow(given, memory, own) for own in (0.0, 1e-12, 0.5, 1.0))
    torch.testing.assert_close(one_by_one.feats, told.feats)
    torch.testing.assert_close(free.feats[:, :1], told.feats[:, :1])
    for one, other in ((told, free), (told, half), (half, free)):
        assert not torch.allclose(one.feats, other.feats)
    model = build(name, own_frames=1.0, **without_dropout(name))
    for training in (True, False):  # to validate, recordings are told
        said = model.train(training).follow(given, model.encode(given.tokens, given.token_lens, given), float(training))
        torch.testing.assert_close(model(given).compared["mel_before"].predicted, said.feats)


@every_model
def test_an_utterance_sounds_the_same_alone_and_with_others(name):
    model, given = build(name, max_token_seconds=0.2).eval(), speech()

    def say(rows, length):
        controls = Controls(given.speakers[rows], generator=torch.Generator().manual_seed(7))
        return model.synthesize(given.tokens[rows, :length], given.token_lens[rows], controls)

    together = say(slice(0, 2), U)
    for b in range(B):
        alone = say(slice(b, b + 1), int(given.token_lens[b]))
        frames, tokens = int(alone.feat_lens[0]), int(given.token_lens[b])
        assert frames == together.feat_lens[b] > 0
        torch.testing.assert_close(alone.feats[0], together.feats[b, :frames])
        assert together.feats[b, frames:].eq(0).all()
        assert torch.equal(alone.durations[0], together.durations[b, :tokens])
    assert torch.equal(together.durations.sum(1), together.feat_lens)


@every_model
def test_each_speaker_has_a_voice(name):
    model, given = build(name, **without_dropout(name)).eval(), speech()
    tokens, lens = given.tokens[:1], given.token_lens[:1]
    first, second = (model.encode(tokens, lens, Controls(torch.tensor([speaker]))) for speaker in range(SPEAKERS))
    assert (first != second).any()
    torch.testing.assert_close(model.encode(tokens, lens, Controls()), first)
    assert build(name, speakers=1).conditions.dim == 0


@every_model
def test_it_learns_two_utterances_by_heart_and_says_them(name):
    torch.manual_seed(1)
    given = speech()
    model = build(name, reduction_factor=2, **without_dropout(name))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(UPDATES[name]):
        optimizer.zero_grad()
        losses = total(model, model(given))
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert losses[0].max() < 0.05 and losses[2].max() < 0.05
    said = model.eval().synthesize(given.tokens, given.token_lens, Controls(given.speakers))
    assert said.finished.all() and torch.equal(said.feat_lens, given.feat_lens)
    valid = torch.arange(T) < given.feat_lens.unsqueeze(1)
    assert (said.feats - given.feats)[valid].square().mean() < 0.1
