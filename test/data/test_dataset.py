from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import Fbank, Features, Recording, SupervisionSegment
from lhotse.cut import MonoCut
from lhotse.features.io import NumpyFilesWriter
from lhotse.utils import fastcopy
from torch.utils.data import DataLoader

from speechkit.data.augment import AugmentConfig, Augmenter, NoiseConfig, ReverbConfig, SpeedConfig, VolumeConfig
from speechkit.data.dataset import AsrDataset
from speechkit.data.sampler import BucketSampler, SamplerConfig

RATE = 8000
LENGTHS = [4001, 2711, 3307, 1999, 2503]


def tokenize(text: str) -> list[int]:
    if not text.isascii():
        raise ValueError(f"no token for {text!r}")
    return [ord(symbol) - 96 for symbol in text]


@pytest.fixture
def cuts(tmp_path) -> list[MonoCut]:
    random = np.random.default_rng(0)
    cuts = []
    for name, length in zip("abcde", LENGTHS):
        soundfile.write(tmp_path / f"{name}.wav", random.uniform(-0.5, 0.5, length), RATE, subtype="FLOAT")
        cut = Recording.from_file(tmp_path / f"{name}.wav").to_cut()
        cut.supervisions = [SupervisionSegment(name, name, 0.0, cut.duration, text=name * (len(cuts) + 1))]
        cuts.append(cut)
    return cuts


def test_a_batch_holds_waveforms_and_tokens_zero_padded(cuts):
    batch = AsrDataset(tokenize, RATE)[cuts[:3]]
    assert batch.ids == ["a", "b", "c"] and batch.texts == ["a", "bb", "ccc"] and not batch.is_features
    assert batch.inputs.shape == (3, 4001) and batch.inputs.dtype == torch.float32
    assert batch.input_lens.tolist() == LENGTHS[:3] and batch.input_lens.dtype == torch.int64
    assert batch.tokens.tolist() == [[1, 0, 0], [2, 2, 0], [3, 3, 3]] and batch.tokens.dtype == torch.int64
    assert batch.token_lens.tolist() == [1, 2, 3]
    assert batch.durations == pytest.approx([length / RATE for length in LENGTHS[:3]])
    for cut, row, length in zip(cuts, batch.inputs, LENGTHS):
        np.testing.assert_array_equal(row[:length], cut.load_audio()[0])
        assert not row[length:].any()


def test_waveforms_come_at_the_rate_asked_for(cuts):
    assert AsrDataset(tokenize, 16000)[cuts[:2]].input_lens.tolist() == [8002, 5422]


def test_precomputed_features_come_as_the_manifest_has_them(cuts, tmp_path):
    with NumpyFilesWriter(tmp_path / "feats") as writer:
        extractor = Fbank()
        extractor.config.sampling_rate = RATE
        extractor = Fbank(extractor.config)
        with_feats = [cut.compute_and_store_features(extractor, writer) for cut in cuts[:2]]
    batch = AsrDataset(tokenize, RATE, features="precomputed")[with_feats]
    assert batch.is_features and batch.inputs.ndim == 3 and batch.inputs.shape[2] == 80
    for cut, feats, length in zip(with_feats, batch.inputs, batch.input_lens):
        np.testing.assert_array_equal(feats[:length], cut.load_features())
        assert not feats[length:].any()
    for file in (tmp_path / "feats").rglob("*.npy"):
        file.unlink()
    with pytest.raises(ValueError, match="cut a: cannot load its features: .*; run the features stage again"):
        AsrDataset(tokenize, RATE, features="precomputed")[with_feats]


def test_part_of_a_cut_has_its_part_of_the_stored_frames(cuts, tmp_path):
    whole = np.arange(100, dtype=np.float32)[:, None].repeat(3, axis=1)  # 100 frames of 1.009 s, as torch.stft rounds
    with NumpyFilesWriter(tmp_path / "feats") as writer:
        stored = Features(
            type="x", num_frames=100, num_features=3, frame_shift=0.01, sampling_rate=RATE, start=2.0, duration=8072 / RATE,
            storage_type=writer.name, storage_path=str(writer.storage_path), storage_key=writer.write("a", whole),
        )  # fmt: skip
    cut = MonoCut("a", 2.0, stored.duration, 0, cuts[0].supervisions, features=stored)

    def frames(cut: MonoCut) -> list[float]:
        return AsrDataset(tokenize, RATE, features="precomputed")[[cut]].inputs[0, :, 0].tolist()

    assert frames(cut) == list(range(100))
    assert frames(cut.truncate(duration=0.25)) == list(range(25))
    assert frames(cut.truncate(offset=0.25, duration=0.5)) == list(range(25, 75))
    assert frames(cut.truncate(offset=0.25)) == list(range(25, 100))
    assert frames(cut.truncate(offset=0.25).truncate(offset=0.25)) == list(range(50, 100))
    with pytest.raises(ValueError, match="cut a: cannot load its features: .*range is .2.0, 3.009"):
        frames(fastcopy(cut, start=1.5))


def test_missing_features_are_named(cuts):
    with pytest.raises(ValueError, match="cut a: expected precomputed features, got none; run the features stage"):
        AsrDataset(tokenize, RATE, features="precomputed")[cuts]


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="expected on_the_fly or precomputed, got 'both'"):
        AsrDataset(tokenize, RATE, features="both")
    with pytest.raises(ValueError, match="expected none with features=precomputed"):
        AsrDataset(tokenize, RATE, features="precomputed", augmenter=Augmenter(AugmentConfig()))


def test_a_transcript_that_the_tokenizer_refuses_names_the_cut(cuts):
    cuts[1].supervisions[0].text = "né"
    with pytest.raises(ValueError, match="^cut b: no token for 'né'"):
        AsrDataset(tokenize, RATE)[cuts]


def test_uncertain_transcripts_come_with_the_batch_and_certain_ones_beside_them(cuts):
    assert AsrDataset(tokenize, RATE)[cuts].alternatives is None
    cuts[1].supervisions[0].custom = {"nbest": [[-0.5, "bb"], [-1.0, "b"]]}
    batch = AsrDataset(tokenize, RATE)[cuts[:3]]
    assert batch.alternatives == [[[(0.0, [1])]], [[(-0.5, [2, 2]), (-1.0, [2])]], [[(0.0, [3, 3, 3])]]]
    assert batch.targets.alternatives is batch.alternatives


def test_a_cut_without_transcript_is_named(cuts):
    with pytest.raises(ValueError, match="^cut c: expected one supervision with text"):
        AsrDataset(tokenize, RATE)[[cuts[0], fastcopy(cuts[2], supervisions=[])]]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_bad_file_is_named_through_worker_processes(cuts, num_workers):
    path = Path(cuts[1].recording.sources[0].source)
    path.unlink()
    loader = DataLoader(AsrDataset(tokenize, RATE), batch_size=None, sampler=[cuts], num_workers=num_workers)
    with pytest.raises(ValueError, match=f"cut b: {path}: missing file"):
        list(loader)


ALL = AugmentConfig(
    speed=SpeedConfig(), noise=NoiseConfig(p=1.0), reverb=ReverbConfig(p=1.0, max_rt60=0.2), volume=VolumeConfig()
)


def epochs(cuts, augmenter, num_workers: int, cache_audio: bool = False) -> list:
    sampler = BucketSampler(cuts, SamplerConfig(batch_duration=1.2), shuffle=True, augmenter=augmenter)
    dataset = AsrDataset(tokenize, 16000, augmenter=augmenter, cache_audio=cache_audio)
    loader = DataLoader(
        dataset, batch_size=None, sampler=sampler, num_workers=num_workers, persistent_workers=num_workers > 0
    )
    batches = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        batches += list(loader)
    return batches


def assert_equal(batches, others) -> None:
    assert len(batches) == len(others)
    for one, other in zip(batches, others):
        assert one.ids == other.ids and one.inputs.equal(other.inputs) and one.tokens.equal(other.tokens)


def test_worker_processes_change_no_sample(cuts):
    expected = epochs(cuts, Augmenter(ALL, seed=1), num_workers=0)
    assert_equal(epochs(cuts, Augmenter(ALL, seed=1), num_workers=2), expected)
    assert any("_sp" in name for batch in expected for name in batch.ids)


def test_the_cache_changes_no_sample_and_stays_clean(cuts):
    expected = epochs(cuts, Augmenter(ALL, seed=1), num_workers=0)
    assert_equal(epochs(cuts, Augmenter(ALL, seed=1), num_workers=0, cache_audio=True), expected)


@pytest.mark.filterwarnings("error")  # torch warns of arrays that cannot be written to
def test_a_cached_corpus_is_not_read_again(cuts):
    dataset = AsrDataset(tokenize, RATE, cache_audio=True)
    before = dataset[cuts]
    for cut in cuts:
        Path(cut.recording.sources[0].source).unlink()
    assert dataset[cuts].inputs.equal(before.inputs)


def test_writing_to_a_batch_of_one_leaves_the_cache_alone(cuts):
    dataset = AsrDataset(tokenize, RATE, cache_audio=True)
    before = dataset[cuts[:1]].inputs.clone()
    dataset[cuts[:1]].inputs.zero_()
    assert dataset[cuts[:1]].inputs.equal(before)


def test_unmarked_cuts_stay_clean_under_an_augmenter(cuts):
    augmented = AsrDataset(tokenize, RATE, augmenter=Augmenter(ALL))
    assert augmented[cuts].inputs.equal(AsrDataset(tokenize, RATE)[cuts].inputs)
