from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from speechkit.data.text import TokenizedText, write_tokens
from speechkit.data.text_batches import TextBatch, TextBatches, TextSamplerConfig

CONFIG = TextSamplerConfig(batch_tokens=60)


@pytest.fixture
def texts(tmp_path):
    random, made = np.random.default_rng(0), []
    for name, count in (("a", 50), ("b", 83)):
        sentences = [random.integers(2, 9, size=random.integers(1, 25)).tolist() for _ in range(count)]
        write_tokens(enumerate(sentences, start=1), tmp_path / name)
        made.append(TokenizedText(tmp_path / name, name))
    return made


def ids(batches, epoch=0, start=0):
    return [batch.ids for batch in batches.epoch(epoch, start)]


def test_every_sentence_is_drawn_once_per_epoch_within_the_budget(texts):
    batches = TextBatches(texts, CONFIG, shuffle=True, seed=3)
    drawn = list(batches.epoch(0))
    assert len(drawn) == len(batches)
    assert Counter(i for batch in drawn for i in batch.ids) == Counter(text.id(i) for text in texts for i in range(len(text)))
    assert all(len(batch) * (batch.tokens.shape[1] + 1) <= 60 for batch in drawn)


def test_sentences_of_similar_length_share_a_batch_so_that_little_is_padding(texts):
    drawn = list(TextBatches(texts, CONFIG, shuffle=True).epoch(0))
    padded = sum(len(batch) * (batch.tokens.shape[1] + 1) for batch in drawn)
    lens, unsorted = iter([n + 1 for text in texts for n in text.lens.tolist()]), 0
    for batch in drawn:  # the same numbers of sentences, as they come
        unsorted += len(batch) * max(next(lens) for _ in range(len(batch)))
    tokens = sum(batch.amounts["tokens"] for batch in drawn)
    assert padded - tokens < (unsorted - tokens) / 5


def test_a_batch_holds_the_tokens_of_its_ids(texts):
    by_id = {text.id(i): text[i].tolist() for text in texts for i in range(len(text))}
    for batch in TextBatches(texts, CONFIG, shuffle=True).epoch(1):
        rows = [row[:n] for row, n in zip(batch.tokens.tolist(), batch.token_lens.tolist())]
        assert rows == [by_id[i] for i in batch.ids]


def test_an_epoch_depends_on_seed_and_number_only_and_can_be_entered_anywhere(texts):
    batches = TextBatches(texts, CONFIG, shuffle=True, seed=3)
    first = ids(batches)
    assert ids(TextBatches(texts, CONFIG, shuffle=True, seed=3)) == first
    assert ids(batches, start=4) == first[4:] and ids(batches, start=len(first)) == []
    assert ids(batches, epoch=1) != first
    assert ids(TextBatches(texts, CONFIG, shuffle=True, seed=4)) != first
    assert {frozenset(batch) for batch in ids(batches, epoch=1)} != {frozenset(batch) for batch in first}


def test_without_shuffling_the_longest_come_first_and_nothing_changes(texts):
    batches = TextBatches(texts, CONFIG)
    lens = [length for batch in batches.epoch(0) for length in batch.token_lens.tolist()]
    assert lens == sorted(lens, reverse=True) and ids(batches, 0) == ids(batches, 5)


def test_ranks_take_equally_many_steps_of_similar_sentences(texts):
    ranks = [TextBatches(texts, CONFIG, shuffle=True, seed=1, rank=rank, world_size=3) for rank in range(3)]
    drawn = [list(rank.epoch(2)) for rank in ranks]
    assert len({len(each) for each in drawn}) == 1
    once = {text.id(i) for text in texts for i in range(len(text))}
    counts = Counter(i for each in drawn for batch in each for i in batch.ids)
    assert counts.keys() == once and sum(counts.values()) <= len(once) + 2
    for step in zip(*drawn):
        assert max(len(batch) for batch in step) - min(len(batch) for batch in step) <= 1
        assert all(len(batch) * (batch.tokens.shape[1] + 1) <= 60 for batch in step)


def test_a_batch_is_limited_in_sentences_as_well(texts):
    assert max(map(len, ids(TextBatches(texts, TextSamplerConfig(batch_tokens=600, max_batch=7))))) == 7


def test_a_sentence_over_the_budget_is_named_or_left_out(texts):
    longest = max(int(text.lens.max()) for text in texts)
    with pytest.raises(ValueError, match=rf"[ab]:\d+: expected a sentence .*batch_tokens = {longest} tokens, got {longest + 1}"):
        TextBatches(texts, TextSamplerConfig(batch_tokens=longest))
    batches = TextBatches(texts, TextSamplerConfig(batch_tokens=60, max_tokens=5))
    assert max(int(batch.token_lens.max()) for batch in batches.epoch(0)) == 5
    assert batches.left_out == sum(int((text.lens > 5).sum()) for text in texts) > 0
    with pytest.raises(ValueError, match="max_tokens: expected sentences of at most 5 tokens, got none"):
        TextBatches([text for text in texts if not setattr(text, "lens", text.lens + 99)], batches.config)


def test_the_amount_counts_the_ends_and_moving_takes_the_tensors():
    batch = TextBatch(["a:1", "a:2"], torch.tensor([[2, 3, 4], [5, 0, 0]]), torch.tensor([3, 1]))
    assert batch.amounts == {"tokens": 6.0} and batch.padding == pytest.approx(2 / 8) and len(batch) == 2
    moved = batch.to("meta")
    assert moved.tokens.device.type == moved.token_lens.device.type == "meta" and moved.ids == batch.ids
