from __future__ import annotations

import dataclasses

import pytest
import torch
from autoregressive_cases import NON_ATTENTIVE, B, F, T, U, V, speech

from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Controls
from speechkit.objectives.speech import SpeechObjective
from speechkit.text.vocabulary import Vocabulary

QUIET = {"encoder_dropout": 0.0, "prenet_dropout": 0.0, "zoneout": 0.0, "postnet_dropout": 0.0}
LOSSES = {"mel": "mse", "mel_before": "mse", "log_duration": "mse", "aligned": "forward_sum", "sharp": "binarization"}


def build(speakers=2, **options):
    facts = AcousticFacts(Vocabulary(V), feat_dim=F, frame_shift=0.1, num_speakers=speakers)
    return AcousticModel.registry["non_attentive_tacotron"].Config(**{**NON_ATTENTIVE, **options}).build(facts=facts)


def total(model, learned):
    names = [name for name in LOSSES if name in model.gives or (name in ("aligned", "sharp") and "alignment" in model.gives)]
    return torch.stack([SpeechObjective.registry[LOSSES[name]].Config().build(of=name)(learned) for name in names])


both = pytest.mark.parametrize("durations", ["given", "aligner"])


@both
def test_gradients_reach_every_parameter(durations):
    model, given = build(durations=durations), speech()
    assert ("durations" in model.needs) == (durations == "given")
    total(model, model(given)).sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in model.parameters())
    still = [name for name, each in model.named_parameters() if each.grad.eq(0).all()]
    assert not still


@both
def test_padding_does_not_change_what_is_learned(durations):
    model, given = build(durations=durations, **QUIET).eval(), speech()
    together = total(model, model(given))
    for b in range(B):
        frames, tokens = int(given.feat_lens[b]), int(given.token_lens[b])
        row = {f.name: v[b : b + 1] for f in dataclasses.fields(given) if (v := getattr(given, f.name)) is not None}
        row["tokens"], row["feats"] = row["tokens"][:, :tokens], row["feats"][:, :frames]
        row["durations"] = row["durations"][:, :tokens]
        torch.testing.assert_close(total(model, model(type(given)(**row)))[:, 0], together[:, b])


def test_frame_by_frame_it_says_the_same_as_all_at_once_when_it_hears_the_same_frames():
    model, given = build().eval(), speech()
    encoded = model.encode(given.tokens, given.token_lens, given)
    upsampled, _, _ = model.upsampling(encoded, given.token_lens, given.durations)
    frames = torch.randn(B, T, F)
    whole, _ = model.decode(frames, upsampled, model.start(upsampled), torch.Generator().manual_seed(5))
    seed, state = torch.Generator().manual_seed(5), model.start(upsampled)
    for t in range(T):
        one, state = model.decode(frames[:, t : t + 1], upsampled[:, t : t + 1], state, seed)
        torch.testing.assert_close(one[:, 0], whole[:, t])


def test_an_utterance_sounds_the_same_alone_and_with_others():
    model, given = build().eval(), speech()
    torch.nn.init.constant_(model.duration.out.bias, 1.2)

    def say(rows, length):
        controls = Controls(given.speakers[rows], generator=torch.Generator().manual_seed(7))
        return model.synthesize(given.tokens[rows, :length], given.token_lens[rows], controls)

    together = say(slice(0, 2), U)
    for b in range(B):
        alone = say(slice(b, b + 1), int(given.token_lens[b]))
        frames = int(alone.feat_lens[0])
        assert frames == together.feat_lens[b] == together.durations[b].sum()
        torch.testing.assert_close(alone.feats[0], together.feats[b, :frames])
        assert together.feats[b, frames:].eq(0).all()


def test_twice_the_speed_takes_half_the_frames():
    model, given = build().eval(), speech()
    torch.nn.init.zeros_(model.duration.out.weight)
    torch.nn.init.constant_(model.duration.out.bias, torch.log(torch.tensor(5.0)).item())  # 4 frames each
    for speed, frames in ((1.0, [20, 12]), (2.0, [10, 6]), (0.5, [40, 24])):
        said = model.synthesize(given.tokens, given.token_lens, Controls(given.speakers, speed=speed))
        assert said.feat_lens.tolist() == frames and said.durations.sum(1).tolist() == frames


def test_each_speaker_has_a_voice():
    model, given = build(**QUIET).eval(), speech()
    voices = (Controls(torch.full((B,), speaker)) for speaker in range(2))
    first, second = (model.encode(given.tokens, given.token_lens, voice) for voice in voices)
    assert (first != second).any() and build(speakers=1).conditions.dim == 0
    torch.testing.assert_close(model.encode(given.tokens, given.token_lens, Controls()), first)


def test_without_durations_it_says_what_to_do():
    given = dataclasses.replace(speech(), durations=None)
    with pytest.raises(ValueError, match="durations: expected frames of each token, got none; align the data"):
        build()(given)
    assert build(durations="aligner")(given).alignment.durations.sum(1).tolist() == given.feat_lens.tolist()


def test_it_learns_two_utterances_by_heart_and_says_them():
    torch.manual_seed(1)
    model, given = build(**QUIET), speech()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(110):
        optimizer.zero_grad()
        losses = total(model, model(given))
        (losses.sum() + 4 * losses[2].sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert losses[0].max() < 0.05 and losses[2].max() < 0.003
    said = model.eval().synthesize(given.tokens, given.token_lens, Controls(given.speakers))
    assert torch.equal(said.durations, given.durations)
    valid = torch.arange(T) < given.feat_lens.unsqueeze(1)
    assert (said.feats - given.feats)[valid].square().mean() < 0.1
