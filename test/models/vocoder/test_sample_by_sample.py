"""What holds for every vocoder that says one sample after another, over all of their outputs."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.sample_by_sample import SampleBySample
from speechkit.models.vocoder.wavenet import Wavenet
from speechkit.models.vocoder.wavernn import Wavernn
from speechkit.nn.sample_output import MixtureOutput, MuLawOutput, join_bytes

GIVEN = VocoderInput(feat_dim=5, hop_length=6, sampling_rate=8000)
LENS = torch.tensor([4, 11, 0, 7])
WAVENET = {"dim": 7, "skip_dim": 9, "num_cycles": 2, "cycle_length": 3, "cond_dim": 3}
WAVERNN = {"dim": 6, "hidden_dim": 7, "aux_dim": 8, "num_blocks": 1}
CASES = {
    "wavenet-mu_law": Wavenet.Config(**WAVENET, bits=6),
    "wavenet-three_taps": Wavenet.Config(**WAVENET, output="gaussians", num_components=1, kernel_size=3, num_global=2),
    "wavenet-logistics": Wavenet.Config(**WAVENET, output="logistics", num_components=3),
    "wavernn-mu_law": Wavernn.Config(**WAVERNN, bits=6),
    "wavernn-coarse_fine": Wavernn.Config(**WAVERNN, output="coarse_fine"),
}


def build(config, **changes) -> SampleBySample:
    torch.manual_seed(0)
    vocoder = config.model_copy(update=changes).build(given=GIVEN).double().eval()
    with torch.no_grad():
        for parameter in vocoder.parameters():  # as they begin, such small networks hardly hear anything
            if parameter.ndim > 1:
                parameter.mul_(2.0)
    return vocoder


@pytest.fixture(params=list(CASES))
def vocoder(request):
    return build(CASES[request.param])


def features() -> torch.Tensor:
    return torch.randn(4, 11, 5, generator=torch.Generator().manual_seed(1)).double()


def drawn(vocoder, params, noise):
    """Samples of parameters that are all there at once, in torch: what the compiled loop must say, too."""

    def code(logits, uniform):
        shares = logits.softmax(-1).cumsum(-1)
        return torch.searchsorted(shares, uniform.unsqueeze(-1) * shares[..., -1:], right=True).squeeze(-1)

    output = vocoder.output
    if isinstance(output, MuLawOutput):
        return code(params, noise[:, 0])
    if isinstance(output, MixtureOutput):
        logits, means, log_scales = params.chunk(3, dim=-1)
        chosen = code(logits, noise[:, 0]).unsqueeze(-1)
        scale = log_scales.clamp(min=output.log_scale_floor).exp()
        return (means + scale * noise[:, 1:]).gather(-1, chosen).squeeze(-1).clamp(-1, 1)
    return join_bytes(code(params[:, :256], noise[:, 0]), code(params[:, 256:], noise[:, 1])).double()


def test_what_the_loop_says_is_drawn_from_the_teacher_forced_distributions(vocoder):
    """The network hears the whole waveform at once, and gives each sample the distribution that it was drawn from."""
    feats = features()[1:2]
    wav, lens = vocoder.generate(feats, torch.tensor([11]), torch.Generator().manual_seed(2))
    cond = vocoder.condition(feats)
    noise = vocoder.output.draw_noise(66, cond, torch.Generator().manual_seed(2))
    expected = drawn(vocoder, vocoder.predict(cond, wav)[0], noise)
    said = vocoder.output.codes(wav[0]) if isinstance(vocoder.output, MuLawOutput) else wav[0]
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-6)
    assert lens.tolist() == [66] and said.unique().numel() > 10


def test_an_utterance_sounds_the_same_alone_and_in_a_batch(vocoder):
    feats, generator = features(), torch.Generator().manual_seed(3)
    together, lens = vocoder.generate(feats, LENS, torch.Generator().manual_seed(3))
    assert together.shape == (4, 66) and lens.tolist() == [24, 66, 0, 42]
    for row, each, length in zip(together, feats, LENS):
        alone = vocoder.speak(each[:length], generator)
        assert torch.equal(row[: len(alone)], alone) and (row[len(alone) :] == 0).all()
        assert len(alone) == 6 * length and (alone.abs() <= 1).all()


def test_threads_do_not_change_what_is_said(vocoder, monkeypatch):
    one = vocoder.generate(features(), LENS, torch.Generator().manual_seed(3))[0]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(vocoder.generate(features(), LENS, torch.Generator().manual_seed(3))[0], one)


def test_chunks_of_conditions_do_not_change_what_is_said(vocoder, monkeypatch):
    whole = vocoder.generate(features(), LENS, torch.Generator().manual_seed(3))[0]
    monkeypatch.setattr("speechkit.models.vocoder.sample_by_sample.CHUNK", 17)
    torch.testing.assert_close(vocoder.generate(features(), LENS, torch.Generator().manual_seed(3))[0], whole)


def test_no_sample_is_predicted_from_itself_or_later_ones(vocoder):
    feats, wav = features()[:1], torch.rand(1, 66).double() - 0.5
    cond, changed = vocoder.condition(feats), wav.clone()
    changed[0, 40] = 0.7
    before, after = vocoder.predict(cond, wav), vocoder.predict(cond, changed)
    own = 256 if vocoder.output.width == 512 else None  # the fine byte knows the coarse one of its own sample
    assert torch.equal(before[:, :40], after[:, :40]) and torch.equal(before[:, 40, :own], after[:, 40, :own])
    assert not torch.allclose(before[:, 41:], after[:, 41:], rtol=1e-9, atol=1e-12)


def test_nats_are_per_sample_and_their_gradient_reaches_every_parameter(vocoder):
    nats = vocoder(features()[:2], torch.rand(2, 66).double() - 0.5)
    assert nats.shape == (2, 66) and nats.isfinite().all()
    nats.sum().backward()
    for name, parameter in vocoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_features_are_heard_in_every_sample_near_them(vocoder):
    feats = features()[:1]
    changed = feats.clone()
    changed[0, 5, 0] += 1.0
    moved = (vocoder.condition(changed) - vocoder.condition(feats)).abs().amax((0, 2)) > 1e-9
    assert moved[30:36].all() and not moved.all()


def test_folded_utterances_are_pieces_side_by_side_with_faded_seams():
    config = CASES["wavernn-mu_law"]
    whole, folded = build(config), build(config, fold_frames=4, overlap_frames=2)
    feats = features()[1:2]
    wav, lens = folded.generate(feats, torch.tensor([11]), torch.Generator().manual_seed(3))
    assert wav.shape == (1, 66) and lens.tolist() == [66]
    # The first piece is said as without folding, up to where the second one fades in.
    noise = torch.Generator().manual_seed(3)
    expected = whole._say([whole.condition(feats)[0, :24].detach()], [whole.output.draw_noise(24, wav, noise)])[0]
    assert torch.equal(wav[0, :18], expected[:18]) and not torch.equal(wav[0, 18:24], expected[18:])


def test_a_piece_must_be_longer_than_its_overlap():
    with pytest.raises(ValidationError, match="fold_frames: expected more than overlap_frames 5, or 0, got 5"):
        Wavernn.Config(fold_frames=5)


def test_single_and_half_precision_networks_speak():
    for config in (CASES["wavenet-mu_law"], CASES["wavernn-coarse_fine"]):
        for dtype in (torch.float32, torch.bfloat16):
            vocoder = build(config).to(dtype)
            wav, _ = vocoder.generate(features().to(dtype), LENS)
            assert wav.dtype == dtype and wav.isfinite().all() and wav.abs().sum() > 0


def test_an_empty_batch_is_silence(vocoder):
    wav, lens = vocoder.generate(features()[:2], torch.tensor([0, 0]))
    assert (wav == 0).all() and lens.tolist() == [0, 0]
