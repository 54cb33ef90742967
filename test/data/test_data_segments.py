from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import soundfile
import torch
from lhotse import Recording

from speechkit.data.sampler import SamplerConfig
from speechkit.data.segments import SegmentDataset, SegmentMarker, SegmentSampler, SegmentShape

RATE, HOP = 8000, 48
SHAPE = SegmentShape(num_frames=5, hop_length=HOP, sampling_rate=RATE, context=100)


@pytest.fixture
def cuts(tmp_path):
    cuts = []
    for i, length in enumerate([4001, 2711, 3307, 1999, 130, 5000, 2222]):
        soundfile.write(tmp_path / f"c{i}.wav", (np.arange(length) + 1) / 8192, RATE, subtype="FLOAT")
        cuts.append(Recording.from_file(tmp_path / f"c{i}.wav").to_cut())
    return cuts


def test_a_piece_comes_with_as_many_frames_around_it_as_its_features_need(cuts):
    marker, dataset = SegmentMarker(3), SegmentDataset(SHAPE)
    for epoch in range(20):
        batch = dataset[[marker(cut, epoch) for cut in cuts if cut.id != "c4"]]
        for wav, length, start in zip(batch.wavs, batch.wav_lens.tolist(), batch.starts.tolist()):
            first = round(float(wav[0]) * 8192) - 1  # samples say where they are from
            assert first % HOP == 0 and start == min(3, first // HOP + start)
            assert length >= (start + 5) * HOP
            torch.testing.assert_close(wav[:length], (torch.arange(length) + 1 + first) / 8192)


def test_an_utterance_that_is_too_short_goes_on_in_silence(cuts):
    batch = SegmentDataset(SHAPE)[[SegmentMarker(3)(cuts[4], 0)]]
    assert batch.wavs.shape == (1, 240) and batch.starts.tolist() == [0]
    assert batch.wavs[0, :130].all() and not batch.wavs[0, 130:].any()


def test_a_part_of_a_file_is_what_the_whole_has_there(cuts):
    marked = [SegmentMarker(3)(cut, 1) for cut in cuts]
    part, whole = SegmentDataset(SHAPE)[marked], SegmentDataset(SHAPE, cache_audio=True)[marked]
    assert torch.equal(part.wavs, whole.wavs) and torch.equal(part.starts, whole.starts)


def test_all_places_are_drawn_up_to_the_last(cuts):
    cut = cuts[3].truncate(duration=8 * HOP / RATE, preserve_id=True)  # 8 frames: 0 to 3 can be first
    loads = [SegmentDataset(SHAPE)[[SegmentMarker(3)(cut, epoch)]] for epoch in range(60)]
    assert {round(float(batch.wavs[0, batch.starts[0] * HOP]) * 8192) - 1 for batch in loads} == {0, HOP, 2 * HOP, 3 * HOP}


def test_every_cut_is_drawn_once_in_full_batches_in_another_order_each_epoch(cuts):
    sampler = SegmentSampler(cuts, SamplerConfig(), 3, shuffle=True, seed=1)
    epochs = [[[cut.id for cut in batch] for batch in sampler.batches(epoch)] for epoch in range(3)]
    for batches in epochs:
        assert sorted(map(len, batches)) == [1, 3, 3] and sorted(chain(*batches)) == [cut.id for cut in cuts]
    assert epochs[0] != epochs[1] != epochs[2]
    companions = [{frozenset(batch) for batch in batches} for batches in epochs]
    assert companions[0] != companions[1]  # not only the order of batches
    assert [[cut.id for cut in batch] for batch in sampler.batches(1, start=1)] == epochs[1][1:]


def test_pieces_depend_on_seed_epoch_and_cut_alone(cuts):
    def places(seed, epoch, size):
        sampler = SegmentSampler(cuts, SamplerConfig(), size, shuffle=True, seed=seed)
        return {cut.id: cut.custom["segment"] for batch in sampler.batches(epoch) for cut in batch}

    assert places(1, 2, 3) == places(1, 2, 5) != places(1, 3, 3)
    assert places(2, 2, 3) != places(1, 2, 3)
    assert len(set(places(1, 2, 3).values())) == 7


def test_a_mixture_is_refused(cuts):
    with pytest.raises(ValueError, match="expected a recording with one channel, got a MixedCut"):
        SegmentMarker(0)(cuts[0].append(cuts[1]), 0)
