from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, SupervisionSegment
from lhotse.cut import MonoCut
from lhotse.testing.dummies import dummy_recording
from torch.utils.data import DataLoader, Dataset

from speechkit.data.augment import AugmentConfig, Augmenter, SpeedConfig, origin_id
from speechkit.data.cuts import open_cuts, write_cuts
from speechkit.data.sampler import BucketSampler, SamplerConfig

CORPORA = os.environ.get("SPEECHKIT_CORPORA")
NUM_CUTS = 211


def make_cut(name: str, duration: float) -> MonoCut:
    text = SupervisionSegment(name, name, 0.0, duration, text="a")
    return MonoCut(name, 0.0, duration, channel=0, supervisions=[text], recording=dummy_recording(0, duration))


@pytest.fixture(scope="module")
def cuts() -> list[MonoCut]:
    durations = np.random.default_rng(0).gamma(4.0, 0.5, NUM_CUTS).clip(0.1, 9.5).round(3)
    return [make_cut(f"cut-{i:03d}", float(d)) for i, d in enumerate(durations)]


def ids(batches) -> list[list[str]]:
    return [[cut.id for cut in batch] for batch in batches]


CONFIG = SamplerConfig(batch_duration=13.0, window=61)
SPEED = Augmenter(AugmentConfig(speed=SpeedConfig()), seed=5)


# --- what a batch is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_cut_is_drawn_once_within_the_budget(cuts, shuffle):
    batches = list(BucketSampler(cuts, CONFIG, shuffle=shuffle))
    assert sorted(sum(ids(batches), [])) == [cut.id for cut in cuts]
    for batch in batches:
        assert len(batch) * max(cut.duration for cut in batch) <= 13.0


def test_the_count_of_a_batch_is_limited_as_well(cuts):
    batches = list(BucketSampler(cuts, SamplerConfig(batch_duration=50.0, max_batch=7)))
    assert max(map(len, batches)) == 7


def padding(batches) -> float:
    padded = sum(max(cut.duration for cut in batch) * len(batch) for batch in batches)
    return 1 - sum(cut.duration for batch in batches for cut in batch) / padded


def cheapest(durations: list[float], budget: float, step_cost: float) -> float:
    """The least cost over all ways to cut a descending list into runs, by trying them all."""
    if not durations:
        return 0.0
    fitting = (n for n in range(1, len(durations) + 1) if n * durations[0] <= budget)
    return min(n * durations[0] + step_cost + cheapest(durations[n:], budget, step_cost) for n in fitting)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step_cost", [0.01, 0.1, 1.0])
def test_batches_are_the_cheapest_of_all_ways_to_cut_the_sorted_list(seed, step_cost):
    durations = np.random.default_rng(seed).uniform(0.5, 5.0, 11).round(2)
    some = [make_cut(f"cut-{i}", float(duration)) for i, duration in enumerate(durations)]
    batches = list(BucketSampler(some, SamplerConfig(batch_duration=10.0, step_cost=step_cost)))
    cost = sum(len(batch) * max(cut.duration for cut in batch) + step_cost * 10.0 for batch in batches)
    assert cost == pytest.approx(cheapest(sorted(durations, reverse=True), 10.0, step_cost * 10.0))


def test_a_dear_step_means_fewer_batches_and_more_padding(cuts):
    cheap, dear = (list(BucketSampler(cuts, SamplerConfig(batch_duration=40.0, step_cost=c))) for c in (0.01, 1.0))
    assert len(dear) < len(cheap) and padding(dear) > padding(cheap)


@pytest.mark.parametrize("world_size", [1, 3])
def test_the_worst_batch_is_the_largest_of_an_unshuffled_epoch(cuts, world_size):
    sampler = BucketSampler(cuts, SamplerConfig(batch_duration=40.0), world_size=world_size)
    padded = [len(batch) * max(cut.duration for cut in batch) for batch in sampler]
    worst = sampler.worst_batch()
    assert len(worst) * max(cut.duration for cut in worst) == max(padded)


def test_windows_bound_what_is_held_in_memory(cuts):
    drawn = 0

    def counting():
        nonlocal drawn
        for drawn, cut in enumerate(cuts, start=1):
            yield cut

    next(iter(BucketSampler(counting(), CONFIG)))
    assert drawn == CONFIG.window


def test_a_lazy_manifest_gives_the_same_batches_as_a_list(cuts, tmp_path):
    write_cuts(cuts, tmp_path / "cuts.jsonl.gz")
    lazy = BucketSampler(open_cuts(tmp_path / "cuts.jsonl.gz"), CONFIG, shuffle=True)
    assert ids(lazy) == ids(BucketSampler(CutSet.from_cuts(cuts), CONFIG, shuffle=True))


# --- the epoch ------------------------------------------------------------------------------------------------------


def test_an_epoch_depends_on_seed_and_epoch_alone(cuts):
    def draw(seed, epoch):
        sampler = BucketSampler(cuts, CONFIG, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        return ids(sampler)

    assert draw(1, 2) == draw(1, 2)
    assert draw(1, 2) != draw(1, 3) and draw(1, 2) != draw(2, 2)


def test_the_order_of_batches_is_shuffled(cuts):
    longest = [max(cut.duration for cut in batch) for batch in BucketSampler(cuts, CONFIG, shuffle=True)]
    falling = np.mean(np.diff(longest) < 0)
    assert 0.3 < falling < 0.7


def test_windows_are_shuffled_differently():
    twins = [make_cut(f"{half}{i}", 1.0 + i / 10) for half in "ab" for i in range(31)]
    config = SamplerConfig(batch_duration=10.0, window=31, jitter=0.0)
    lengths = [batch[0].duration for batch in BucketSampler(twins, config, shuffle=True)]
    half = len(lengths) // 2
    assert sorted(lengths[:half]) == sorted(lengths[half:]) and lengths[:half] != lengths[half:]


def test_jitter_never_takes_a_batch_over_the_budget(cuts):
    config = SamplerConfig(batch_duration=13.0, jitter=0.9, step_cost=1.0)
    for batch in BucketSampler(cuts, config, shuffle=True):
        assert len(batch) * max(cut.duration for cut in batch) <= 13.000001


def test_batches_change_their_members_between_epochs(cuts):
    sampler = BucketSampler(cuts, SamplerConfig(batch_duration=13.0), shuffle=True)
    first, second = ({frozenset(batch) for batch in ids(sampler.batches(epoch))} for epoch in (0, 1))
    assert len(first & second) < len(first) / 2


def test_the_number_of_batches_is_known(cuts):
    sampler = BucketSampler(cuts, CONFIG, shuffle=True, augmenter=SPEED)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        assert len(sampler) == len(list(sampler))


def test_without_shuffling_epochs_are_equal_and_sorted(cuts):
    sampler = BucketSampler(cuts, SamplerConfig(batch_duration=13.0))
    batches = list(sampler)
    durations = [cut.duration for batch in batches for cut in batch]
    assert durations == sorted(durations, reverse=True)
    sampler.set_epoch(4)
    assert ids(sampler) == ids(batches)


def test_the_sampler_sees_the_durations_that_speed_makes(cuts):
    sampler = BucketSampler(cuts, CONFIG, shuffle=True, augmenter=SPEED)
    batches = list(sampler.batches(3))
    assert sorted(origin_id(cut) for batch in batches for cut in batch) == [cut.id for cut in cuts]
    assert any(cut.id.endswith("_sp0.9") for batch in batches for cut in batch)
    for batch in batches:
        assert len(batch) * max(cut.duration for cut in batch) <= 13.001
    assert ids(batches) != ids(sampler.batches(4))


# --- resuming -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [0, 1, 17, 10_000])
def test_a_resumed_epoch_goes_on_with_exactly_the_remaining_batches(cuts, stop):
    straight = BucketSampler(cuts, CONFIG, shuffle=True, seed=3, augmenter=SPEED)
    straight.set_epoch(2)
    whole = ids(straight)
    first = BucketSampler(cuts, CONFIG, shuffle=True, seed=3, augmenter=SPEED)
    first.set_epoch(2)
    stop = min(stop, len(whole) - 1)
    drawing = iter(first)
    for _ in range(stop):
        next(drawing)
    assert first.state_dict() == {"epoch": 2, "batch": stop}
    second = BucketSampler(cuts, CONFIG, shuffle=True, seed=3, augmenter=SPEED)
    second.load_state_dict(first.state_dict())
    assert ids(second) == whole[stop:]
    assert second.state_dict() == {"epoch": 2, "batch": 0}


# --- ranks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world_size", [2, 3, 8])
@pytest.mark.parametrize("number", [1, 7, 62, NUM_CUTS])
def test_all_ranks_take_the_same_number_of_steps_and_miss_nothing(cuts, world_size, number):
    some = cuts[:number]
    ranks = [
        list(BucketSampler(some, CONFIG, shuffle=True, rank=rank, world_size=world_size, augmenter=SPEED))
        for rank in range(world_size)
    ]
    assert len({len(batches) for batches in ranks}) == 1 and all(len(batch) for batches in ranks for batch in batches)
    drawn = Counter(origin_id(cut) for batches in ranks for batch in batches for cut in batch)
    assert set(drawn) == {cut.id for cut in some}
    windows = -(-number // CONFIG.window)
    assert sum(drawn.values()) - number <= windows * (world_size - 1)
    for batches in ranks:
        assert all(len(batch) * max(cut.duration for cut in batch) <= 13.001 for batch in batches)


def test_the_cuts_of_a_step_are_dealt_to_the_ranks_in_turn(cuts):
    config = SamplerConfig(batch_duration=30.0)
    ranks = [list(BucketSampler(cuts, config, rank=rank, world_size=3)) for rank in range(3)]
    dealt = [cut for step in zip(*ranks) for row in itertools.zip_longest(*step) for cut in row if cut is not None]
    assert [cut.duration for cut in dealt[:NUM_CUTS]] == sorted((cut.duration for cut in cuts), reverse=True)


def test_ranks_hardly_wait_for_each_other(cuts):
    config = SamplerConfig(batch_duration=30.0)
    ranks = [list(BucketSampler(cuts, config, shuffle=True, rank=rank, world_size=3)) for rank in range(3)]
    padded = [[len(batch) * max(cut.duration for cut in batch) for batch in step] for step in zip(*ranks)]
    assert 1 - np.mean(padded) / np.mean(np.max(padded, axis=1)) < 0.02


def test_a_rank_outside_the_world_is_refused(cuts):
    with pytest.raises(ValueError, match="rank: expected 0 to 1 for 2 processes, got 2"):
        BucketSampler(cuts, CONFIG, rank=2, world_size=2)


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_a_cut_over_the_budget_is_named(cuts):
    with pytest.raises(ValueError, match=r"cut whale: expected at most batch_duration = 13\.0 s, got 14\.00 s; raise"):
        list(BucketSampler([*cuts, make_cut("whale", 14.0)], CONFIG))


def test_filters_leave_out_and_count(cuts):
    config = SamplerConfig(batch_duration=13.0, min_duration=0.05, max_duration=9.6)
    extra = [make_cut("whale", 14.0), make_cut("flea", 0.01), make_cut("mite", 0.02)]
    sampler = BucketSampler([*extra, *cuts], config)
    assert sorted(sum(ids(sampler), [])) == [cut.id for cut in cuts]
    assert sampler.skipped == {"too long": 1, "too short": 2}


def test_a_slowed_cut_over_the_budget_names_the_cut():
    slow = Augmenter(AugmentConfig(speed=SpeedConfig(factors=(0.5,))))
    with pytest.raises(ValueError, match="cut slug: .* got 14.00 s"):
        list(BucketSampler([make_cut("slug", 7.0)], CONFIG, augmenter=slow))


def test_nothing_left_to_draw_is_an_error(cuts):
    with pytest.raises(ValueError, match="no cuts to draw batches from.*too short.*211"):
        len(BucketSampler(cuts, SamplerConfig(min_duration=10.0)))


# --- with a DataLoader ----------------------------------------------------------------------------------------------


class Names(Dataset):
    """Gives the ids of the cuts that the sampler drew."""

    def __getitem__(self, cuts):
        return [cut.id for cut in cuts]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_data_loader_returns_the_batches_in_order(cuts, num_workers):
    sampler = BucketSampler(cuts, CONFIG, shuffle=True, augmenter=SPEED)
    loader = DataLoader(Names(), batch_size=None, sampler=sampler, num_workers=num_workers)
    assert list(loader) == ids(sampler.batches(0)) and len(loader) == len(sampler)


# --- real durations -------------------------------------------------------------------------------------------------


@pytest.mark.corpus
@pytest.mark.skipif(CORPORA is None, reason="SPEECHKIT_CORPORA is not set")
@pytest.mark.parametrize("name, budget", [("mini_librispeech", 200.0), ("fsdd", 100.0), ("fsdd", 200.0)])
def test_padding_on_real_corpora_is_under_five_percent(name, budget):
    folder = Path(CORPORA) / name
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".wav", ".flac", ".ogg", ".opus"})
    cuts = [make_cut(path.stem, soundfile.info(path).duration) for path in files]
    sampler = BucketSampler(cuts, SamplerConfig(batch_duration=budget), shuffle=True)
    assert padding(list(sampler)) < 0.05
