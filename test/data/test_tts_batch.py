from __future__ import annotations

import dataclasses

import pytest
import torch

from speechkit.data.tts_batch import TtsBatch


@pytest.fixture
def batch() -> TtsBatch:
    return TtsBatch(
        ids=["a", "b"],
        texts=["c d e", "d"],
        wavs=torch.ones(2, 17),
        wav_lens=torch.tensor([17, 11]),
        tokens=torch.tensor([[3, 4, 5], [4, 0, 0]]),
        token_lens=torch.tensor([3, 1]),
        speakers=torch.tensor([0, 6]),
        durations=[1.7, 1.1],
        pitch=torch.ones(2, 5),
    )


def test_it_knows_how_much_is_in_it(batch):
    assert (
        len(batch) == 2 and batch.padding == pytest.approx(6 / 34) and batch.amounts == {"audio_seconds": pytest.approx(2.8)}
    )


def test_moving_takes_every_tensor_and_nothing_else(batch):
    moved = batch.to("meta")
    for field in dataclasses.fields(batch):
        old, new = getattr(batch, field.name), getattr(moved, field.name)
        assert new.device.type == "meta" and new.shape == old.shape if isinstance(old, torch.Tensor) else new is old
    assert moved.token_durations is None


def test_pinning_calls_every_tensor(batch, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    assert batch.pin_memory().pitch.equal(batch.pitch + 1)
