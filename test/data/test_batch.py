from __future__ import annotations

import dataclasses

import pytest
import torch

from speechkit.data.batch import AsrBatch


@pytest.fixture
def batch() -> AsrBatch:
    return AsrBatch(
        ids=["a", "b"],
        inputs=torch.ones(2, 17),
        input_lens=torch.tensor([17, 11]),
        is_features=False,
        tokens=torch.tensor([[3, 4, 5], [4, 0, 0]]),
        token_lens=torch.tensor([3, 1]),
        texts=["c d e", "d"],
        durations=[1.7, 1.1],
    )


def test_the_length_of_a_batch_is_its_number_of_utterances(batch):
    assert len(batch) == 2


def test_padding_is_the_share_of_the_input_after_the_lengths(batch):
    assert batch.padding == pytest.approx(6 / 34)


def test_the_amount_is_what_there_is_to_hear(batch):
    assert batch.amounts == {"audio_seconds": pytest.approx(2.8)}


def test_moving_takes_every_tensor_and_nothing_else(batch):
    moved = batch.to("meta")
    for field in dataclasses.fields(batch):
        old, new = getattr(batch, field.name), getattr(moved, field.name)
        if isinstance(old, torch.Tensor):
            assert new.device.type == "meta" and new.shape == old.shape and new.dtype == old.dtype
        else:
            assert new is old


def test_pinning_calls_every_tensor(batch, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    pinned = batch.pin_memory()
    assert pinned.tokens.equal(batch.tokens + 1) and pinned.input_lens.equal(batch.input_lens + 1)
    assert pinned.texts == batch.texts


def test_a_batch_cannot_be_changed(batch):
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.texts = []
