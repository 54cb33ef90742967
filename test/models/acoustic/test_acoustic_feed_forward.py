"""What holds for every feed-forward acoustic model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from feed_forward_cases import BUCKETS, CONFORMER, TINY, VARIED, alone, build, speech

from speechkit.config import ConfigError, dump, validate
from speechkit.models.acoustic.base import Controls
from speechkit.models.acoustic.fastspeech import FastSpeech
from speechkit.nn.variance_predictor import log_durations

VOCODER = {"name": "hifigan", "dim": 8, "upsample_rates": [3, 2], "kernel_sizes": [3], "dilations": [[1]]}
CASES = {
    "fastspeech": {"name": "fastspeech", **TINY, "durations": "given"},
    "fastspeech-postnet-conformer": {"name": "fastspeech", **TINY, "durations": "given", "encoder": CONFORMER,
                                     "postnet_layers": 2, "postnet_dim": 6, "postnet_dropout": 0.0},
    "fastspeech-styles": {"name": "fastspeech", **TINY, "conditions": ["embedding", {"name": "style_tokens", "num_tokens": 3}]},
    "fastspeech2": {"name": "fastspeech2", **VARIED},
    "fastspeech2-aligner": {"name": "fastspeech2", **VARIED, "durations": "aligner"},
    "fastspeech2-frame-buckets": {"name": "fastspeech2", **VARIED, "variance_level": "frame", "pitch": BUCKETS,
                                  "energy": BUCKETS},
    "jets": {"name": "jets", **VARIED, "durations": "given", "vocoder": VOCODER, "segment_frames": 4},
}  # fmt: skip
every_model = pytest.mark.parametrize("options", CASES.values(), ids=CASES)
TOKENS = torch.tensor([[3, 5, 2, 7, 1], [4, 4, 9, 0, 0]]), torch.tensor([5, 3])


@every_model
def test_in_training_an_utterance_alone_equals_itself_in_a_padded_batch(options):
    model, batch = build(options).eval(), speech()
    learned = model(batch)
    for b in range(3):
        one = model(alone(batch, b))
        assert one.compared.keys() == learned.compared.keys()
        for name, found in learned.compared.items():
            length = int(found.lens[b])
            for part in ("predicted", "target"):
                got, expected = getattr(found, part)[b, :length], getattr(one.compared[name], part)[0]
                torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4, msg=f"{name} {part}")


@every_model
def test_in_synthesis_an_utterance_alone_equals_itself_in_a_padded_batch(options):
    model, (tokens, lens) = build(options).eval(), TOKENS
    torch.nn.init.constant_(model.duration.out.bias, 1.1)  # about two frames
    spoken = model.synthesize(tokens, lens, Controls(torch.tensor([1, 2])))
    for b, length in enumerate(lens.tolist()):
        one = model.synthesize(tokens[b : b + 1, :length], lens[b : b + 1], Controls(torch.tensor([b + 1])))
        assert torch.equal(one.durations[0], spoken.durations[b, :length]) and spoken.durations[b, length:].eq(0).all()
        assert one.feat_lens[0] == spoken.feat_lens[b] == spoken.durations[b].sum() > 3
        for got, expected in ((spoken.feats, one.feats), (spoken.wav, one.wav), (spoken.pitch, one.pitch)):
            if expected is not None:
                number = expected.shape[1]
                torch.testing.assert_close(got[b, :number], expected[0], atol=2e-5, rtol=1e-4)
                assert got[b, number:].eq(0).all()


@every_model
def test_it_gives_what_it_says_and_gradients_reach_every_parameter(options):
    model = build(options)
    learned = model(speech())
    given = {*learned.compared, *(name for name in ("alignment", "segments") if getattr(learned, name) is not None)}
    assert given == model.gives <= type(model).gives
    loss = sum((pair.predicted - pair.target).square().sum() for pair in learned.compared.values())
    if learned.alignment is not None:
        loss = loss + learned.alignment.weights[:, :, 0].sum()
    if learned.segments is not None:
        loss = loss + learned.segments.wav.square().sum()
    loss.backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.ne(0).any()]
    # Fewer than 65 frames are one step of the reference encoder's GRU, which has no past to weigh.
    assert unreached in ([], ["conditions.parts.style_tokens.styles.reference.gru.weight_hh_l0"])


@every_model
def test_what_lies_at_padding_does_not_matter(options):
    model, batch = build(options).eval(), speech()
    torch.manual_seed(5)
    before = model(batch).compared
    frames = torch.arange(19) >= batch.feat_lens.unsqueeze(1)
    tokens = torch.arange(7) >= batch.token_lens.unsqueeze(1)
    changed = {name: getattr(batch, name).masked_fill(frames, 1e4) for name in ("pitch", "energy")}
    changed |= {"tokens": batch.tokens.masked_fill(tokens, 9), "durations": batch.durations.masked_fill(tokens, 50)}
    changed |= {"feats": batch.feats.masked_fill(frames.unsqueeze(2), 1e4)}
    for name, pair in model(replace(batch, **changed)).compared.items():
        for b, length in enumerate(pair.lens.tolist()):
            torch.testing.assert_close(pair.predicted[b, :length], before[name].predicted[b, :length], msg=name)


@every_model
def test_speakers_differ_and_the_first_speaks_if_nobody_is_named(options):
    model, (tokens, lens) = build(options).eval(), TOKENS
    hidden = [model.speak(tokens, lens, Controls(who)).hidden for who in (None, torch.tensor([0, 0]), torch.tensor([2, 2]))]
    assert torch.equal(hidden[0], hidden[1])
    assert hidden[2].shape != hidden[0].shape or not torch.allclose(hidden[2], hidden[0])


def test_styles_are_mixed_as_asked_and_a_recordings_own_can_be_given():
    model, batch = build(CASES["fastspeech-styles"]).eval(), speech()
    weights = model.conditions.parts["style_tokens"].styles.weights(batch.feats, batch.feat_lens)
    model.duration = torch.nn.Module()
    model.duration.forward = lambda x, lens: log_durations(batch.durations)
    same = model.synthesize(batch.tokens, batch.token_lens, Controls(batch.speakers, style=weights))
    torch.testing.assert_close(same.feats, model(batch).compared["mel"].predicted)
    first, *others = (
        model.synthesize(batch.tokens, batch.token_lens, Controls(style=style)).feats
        for style in (torch.full((3, 3), 1 / 3), torch.eye(3))
    )
    assert not torch.allclose(first, others[0])
    assert "style" in model.controls and "style" not in build(CASES["fastspeech"]).controls


def test_speed_divides_durations_and_there_is_always_a_frame():
    model, (tokens, lens) = build(CASES["fastspeech"]).eval(), TOKENS
    torch.nn.init.zeros_(model.duration.out.weight)
    for frames, speed, expected in ((6.0, 1.0, 6), (6.0, 2.0, 3), (6.0, 0.5, 12), (3.0, 2.0, 2)):
        torch.nn.init.constant_(model.duration.out.bias, log_durations(torch.tensor(frames)).item())
        spoken = model.synthesize(tokens, lens, Controls(speed=speed))
        assert spoken.durations.tolist() == [[expected] * 5, [expected] * 3 + [0, 0]]
    torch.nn.init.constant_(model.duration.out.bias, -3.0)
    spoken = model.synthesize(tokens, lens, Controls())
    assert spoken.durations.sum(1).tolist() == [1, 1] and spoken.feats.isfinite().all()


def test_durations_of_the_aligner_give_every_token_a_frame_and_add_up():
    model, batch = build(CASES["fastspeech2-aligner"]), replace(speech(), durations=None)
    found = model(batch).alignment
    assert found.durations.sum(1).tolist() == [19, 11, 2]
    assert found.durations[0].min() >= 1 and found.durations[2].tolist() == [2, 0, 0, 0, 0, 0, 0]
    torch.testing.assert_close(found.weights.sum(2), torch.ones(3, 19))
    assert "durations" not in model.needs and "durations" in build(CASES["fastspeech2"]).needs


def test_durations_that_are_missing_or_do_not_add_up_are_refused():
    model, batch = build(CASES["fastspeech"]), speech()
    with pytest.raises(ValueError, match="durations: expected frames of each token, got none"):
        model(replace(batch, durations=None))
    with pytest.raises(ValueError, match=r"add up to its frames, \[19, 11, 2\], got \[20, 12, 3\]"):
        model(replace(batch, durations=batch.durations + torch.tensor([1] + [0] * 6)))


@pytest.mark.parametrize("part", ["duration", "pitch", "energy"])
def test_a_predictor_can_be_kept_from_teaching_the_encoder(part):
    predictor = {**VARIED[part], "stop_gradient": True}
    for options, taught in ((VARIED, True), ({**VARIED, part: predictor}, False)):
        model = build({"name": "fastspeech2", **options})
        name = "log_duration" if part == "duration" else part
        model(speech()).compared[name].predicted.sum().backward()
        assert (model.embedding.weight.grad is not None) is taught


def test_encoders_keep_every_position_without_being_told_and_refuse_to_be_told_otherwise():
    config = validate(FastSpeech.Config, {"name": "fastspeech", "encoder": {"name": "conformer", "dim": 8}})
    for each in (config.encoder, config.decoder):
        assert (each.subsampling, each.subsampling_factor) == ("stack", 1)
    assert "subsampling_factor: 1" in dump(config)
    assert validate(FastSpeech.Config, config.model_dump(mode="json")) == config
    with pytest.raises(ConfigError, match=r"encoder.subsampling_factor: expected 1, .* got 4"):
        validate(FastSpeech.Config, {"encoder": {"subsampling": "conv2d"}})
