"""What every registered featurizer must do, whatever its features are; a new one is tested by being registered."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import speechkit.features.base as base
from speechkit.config import Config, ConfigError, dump, load, validate
from speechkit.features.base import Featurizer

NAMES = sorted(Featurizer.registry)
STREAMING = [name for name in NAMES if not Featurizer.registry[name].not_streamable]
VARIANTS = {
    "fbank-snip": ("fbank", {"snip_edges": True}),
    "fbank-odd": ("fbank", {"sampling_rate": 22050, "use_energy": True, "window": "hamming"}),
    "mfcc-snip": ("mfcc", {"snip_edges": True, "use_energy": True}),
    "mfcc-8k": ("mfcc", {"sampling_rate": 8000}),
    "hifigan-small": ("hifigan", {"n_fft": 511, "win_length": 301, "hop_length": 100, "num_mel_bins": 20}),
    "whisper-128": ("whisper", {"num_mel_bins": 128}),
    **{name: (name, {}) for name in NAMES},
}


def build(variant: str, **changes) -> Featurizer:
    name, options = VARIANTS[variant]
    return Featurizer.registry[name].Config(**{**options, **changes}).build().eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=sorted(VARIANTS))
def featurizer(request) -> Featurizer:
    return build(request.param)


def alone(featurizer: Featurizer, wav: torch.Tensor) -> torch.Tensor:
    return featurizer(wav.unsqueeze(0), torch.tensor([len(wav)]))[0][0]


@pytest.mark.parametrize("path", ["_one_by_one", "_batched"])
def test_padding_does_not_change_the_features_and_its_frames_are_zero(featurizer, path):
    wav, wav_lens = noise(3, 3001), torch.tensor([3001, 1777, 50])
    feats = getattr(featurizer, path)(wav, wav_lens)  # what lies in the padding of wav is noise too
    feat_lens = featurizer.num_frames(wav_lens)
    assert feats.shape == (3, featurizer.num_frames(3001), featurizer.feat_dim)
    for index, (length, frames) in enumerate(zip(wav_lens.tolist(), feat_lens.tolist(), strict=True)):
        single = alone(featurizer, wav[index, :length])
        assert single.shape == (frames, featurizer.feat_dim)
        torch.testing.assert_close(feats[index, :frames], single, atol=1e-5, rtol=1e-5)
        assert (feats[index, frames:] == 0).all()


@pytest.mark.parametrize("length", [0, 1, 79, 80, 399, 400, 401, 1023, 1024, 1111])
def test_num_frames_tells_the_frames_of_any_length(featurizer, length):
    feats = alone(featurizer, noise(length))
    assert len(feats) == featurizer.num_frames(length) == featurizer.num_frames(torch.tensor([length])).item()
    assert feats.isfinite().all()
    if length > 0 and featurizer.framing.edges != "cut":
        assert len(feats) >= 1


def test_frame_shift_is_the_hop_in_seconds(featurizer):
    assert featurizer.frame_shift == featurizer.hop_length / featurizer.sampling_rate
    more = featurizer.num_frames(100_000 + 7 * featurizer.hop_length) - featurizer.num_frames(100_000)
    assert more == 7


@pytest.mark.parametrize("variant", [name for name in sorted(VARIANTS) if VARIANTS[name][0] in STREAMING])
@pytest.mark.parametrize("length", [0, 1, 79, 400, 641, 1101, 2750])
def test_a_stream_equals_the_whole_utterance_for_every_chunk_size(variant, length):
    featurizer = build(variant)
    wav = noise(length)
    offline = alone(featurizer, wav)
    for chunk in (1, 7, 160, 401, 5000):
        if chunk == 1 and length not in (1, 641):
            continue
        stream = featurizer.stream()
        online = torch.cat([*(stream.push(piece) for piece in wav.split(chunk)), stream.flush()])
        assert online.shape == offline.shape
        torch.testing.assert_close(online, offline, atol=1e-5, rtol=1e-6)


def test_a_stream_gives_each_frame_as_soon_as_its_last_sample_is_in():
    stream = build("fbank").stream()
    assert len(stream.push(noise(279))) == 0  # frame 0 ends 280 samples after the start: 400 - 120 mirrored ones
    assert len(stream.push(noise(1))) == 1
    assert len(stream.push(noise(159))) == 0
    assert len(stream.push(noise(1))) == 1


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("fbank-odd", {}),
        ("fbank-odd", {"frame_length": 221 / 22050, "frame_shift": 220 / 22050, "num_mel_bins": 23}),
        ("hifigan-small", {}),
        ("hifigan-small", {"n_fft": 31, "win_length": 31, "hop_length": 1, "num_mel_bins": 2}),
    ],
)
def test_the_last_frame_streams_alike_wherever_the_utterance_ends(variant, changes):
    featurizer = build(variant, **changes)
    hop = featurizer.hop_length
    for length in sorted({6 * hop + step for step in (0, 1, 2, hop // 2 - 1, hop // 2, hop // 2 + 1, hop - 1)}):
        wav = noise(length + 1000)
        stream = featurizer.stream()
        online = torch.cat([stream.push(wav[:length]), stream.push(wav[length:]), stream.flush()])
        torch.testing.assert_close(online, alone(featurizer, wav), atol=1e-5, rtol=1e-6)
        stream = featurizer.stream()  # an odd window's mirrored end can reach before the start of the last frame
        online = torch.cat([stream.push(wav[:length]), stream.flush()])
        torch.testing.assert_close(online, alone(featurizer, wav[:length]), atol=1e-5, rtol=1e-6)


def test_a_stream_ends_with_flush_and_takes_samples_only():
    stream = build("fbank").stream()
    with pytest.raises(ValueError, match=r"expected samples \(n,\).*got shape \(1, 100\)"):
        stream.push(noise(1, 100))
    stream.flush()
    with pytest.raises(ValueError, match="one stream per utterance"):
        stream.push(noise(100))


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(STREAMING)))
def test_features_that_need_the_whole_utterance_say_why_they_cannot_stream(name):
    with pytest.raises(ValueError, match=f"{name}: cannot stream, because .*whole utterance"):
        build(name).stream()


def test_blocks_do_not_show(featurizer, monkeypatch):
    wav = noise(4001)
    whole = alone(featurizer, wav)
    monkeypatch.setattr(base, "BLOCK", 7)
    torch.testing.assert_close(alone(featurizer, wav), whole, atol=1e-5, rtol=1e-5)


def test_the_config_survives_yaml_and_says_the_same(featurizer, tmp_path):
    (tmp_path / "yaml").write_text(dump(featurizer.config))
    again = load(type(featurizer.config), tmp_path / "yaml")
    assert again == featurizer.config
    assert torch.equal(alone(again.build(), noise(2000)), alone(featurizer, noise(2000)))


def test_nothing_that_follows_from_the_config_is_saved(featurizer):
    assert featurizer.state_dict() == {}


def test_copies_give_the_same_features(featurizer):
    wav = noise(2000)
    for twin in (copy.deepcopy(featurizer), pickle.loads(pickle.dumps(featurizer))):
        assert torch.equal(alone(twin, wav), alone(featurizer, wav))


@pytest.mark.parametrize("path", ["_one_by_one", "_batched"])
def test_gradients_with_respect_to_the_waveform_are_right(featurizer, path):
    featurizer = featurizer.double()
    wav, lens = noise(2, 1203).double().requires_grad_(), torch.tensor([1203, 901])
    # Whisper's floor below the peak has a kink, at which differences are wrong: take its loud frames only.
    loud = (lambda feats: feats.clamp(min=0.3)) if featurizer.config.name == "whisper" else (lambda feats: feats)
    function = getattr(featurizer, path)
    assert torch.autograd.gradcheck(lambda wav: loud(function(wav, lens))[:, ::3, ::17], wav, fast_mode=True)


def test_features_stay_in_single_precision_inside_a_model_that_is_not(featurizer):
    wav, lens = noise(1, 2000), torch.tensor([2000])
    expected = featurizer(wav, lens)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(featurizer(wav, lens)[0], expected)
    feats = featurizer.to(torch.bfloat16)(wav, lens)[0]
    assert torch.equal(feats, expected)
    assert featurizer.double()(wav, lens)[0].dtype == torch.float64


@pytest.mark.gpu
def test_the_gpu_gives_the_same_features(featurizer):
    wav, lens = noise(2, 3001), torch.tensor([3001, 1777])
    expected, expected_lens = featurizer(wav, lens)
    for lens_device in ("cpu", "cuda"):
        feats, feat_lens = featurizer.cuda()(wav.cuda(), lens.to(lens_device))
        assert torch.equal(feat_lens.cpu(), expected_lens)
        torch.testing.assert_close(feats.cpu(), expected, atol=1e-3, rtol=1e-4)


def test_wrong_shapes_and_integer_samples_are_errors_with_a_remedy():
    featurizer = build("fbank")
    with pytest.raises(ValueError, match=r"expected wav \(B, L\).*got \(1000,\)"):
        featurizer(noise(1000), torch.tensor([1000]))
    with pytest.raises(ValueError, match="divide 16-bit samples by 32768"):
        featurizer(torch.zeros(1, 1000, dtype=torch.int16), torch.tensor([1000]))
    with pytest.raises(ValueError, match="at most 1000 samples, as wav has, got 1001 for utterance 1"):
        featurizer(noise(2, 1000), torch.tensor([1000, 1001]))


@pytest.mark.parametrize("name", NAMES)
def test_a_backend_that_cannot_compute_a_feature_is_an_error_when_built(name):
    known = base.Featurizer.Config.model_fields["backend"].annotation.__args__
    unable = set(known) - set(Featurizer.registry[name].backends)
    for backend in sorted(unable):
        with pytest.raises(ConfigError, match=f"{name}.backend: expected one of torch, got {backend}"):
            Featurizer.registry[name].Config(backend=backend).build()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fbank", {"high_freq": 9000}, "high_freq: expected at most 8000 Hz, half of sampling_rate 16000, got 9000"),
        ("mfcc", {"sampling_rate": 8000, "high_freq": 4001}, "high_freq: expected at most 4000 Hz"),
        ("fbank", {"high_freq": -8000}, "high_freq: expected more than low_freq 20 Hz .which means 0 Hz"),
        ("fbank", {"low_freq": 500, "high_freq": 400}, "high_freq: expected more than low_freq 500 Hz, got 400"),
        ("fbank", {"frame_shift": 0.03}, "frame_shift: expected at most frame_length 0.025 s, got 0.03"),
        ("fbank", {"frame_shift": 1e-5}, "frame_shift: expected at least one sample"),
        ("fbank", {"frame_length": 7e-5, "frame_shift": 7e-5}, "frame_length: .* two per window at 16000 Hz"),
        ("fbank", {"num_mel_bins": 128}, "num_mel_bins: filter 1 lies between two FFT bins .31.25 Hz apart"),
        ("mfcc", {"num_ceps": 24}, "num_ceps: expected at most num_mel_bins 23, got 24"),
        ("whisper", {"hop_length": 401}, "hop_length: expected at most n_fft 400 samples, got 401"),
        ("whisper", {"num_mel_bins": 400}, "num_mel_bins: filter .* lies between two FFT bins"),
        ("hifigan", {"win_length": 1025}, "win_length: expected at most n_fft 1024 samples, got 1025"),
        ("hifigan", {"high_freq": 12000}, "high_freq: expected at most 11025 Hz"),
        ("fbank", {"window": "hann"}, "window: .*'povey', 'hamming' or 'hanning'"),
        ("fbank", {"sampling_rate": 0}, "sampling_rate: .*greater than 0"),
    ],
)
def test_nonsense_is_an_error_that_names_the_key(name, options, message):
    from speechkit.config import Choice

    class Recipe(Config):
        featurizer: Choice[Featurizer] = Featurizer.registry["fbank"].Config()

    with pytest.raises(ConfigError, match=f"config: featurizer.{message}"):
        validate(Recipe, {"featurizer": {"name": name, **options}})
