"""Batches of sentences of similar length, for language models."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from speechkit.config import Config
from speechkit.data.text import TokenizedText
from speechkit.utils.lens import pad_stack


@dataclasses.dataclass(frozen=True)
class TextBatch:
    """B sentences."""

    ids: list[str]
    """Name of the text and number of the line: ``train:17``."""

    tokens: Tensor
    """(B, U) int64, zero after each length."""

    token_lens: Tensor
    """(B,) int64."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def amounts(self) -> dict[str, float]:
        """Tokens to predict, the end of each sentence included."""
        return {"tokens": float(self.token_lens.sum()) + len(self)}

    @property
    def padding(self) -> float:
        """Share of the predictions that are about padding, in [0, 1)."""
        return 1.0 - self.amounts["tokens"] / (len(self) * (self.tokens.shape[1] + 1))

    def to(self, device: torch.device | str) -> TextBatch:
        """The same batch with its tensors on ``device``."""
        return dataclasses.replace(self, tokens=self.tokens.to(device), token_lens=self.token_lens.to(device))


class TextSamplerConfig(Config):
    """How sentences are grouped into batches."""

    batch_tokens: int = Field(4000, ge=1)
    """Budget of one rank's batch in padded tokens: longest sentence, with its end, times number of sentences."""

    max_batch: int | None = Field(None, ge=1)
    """Most sentences in one rank's batch; no limit when null."""

    max_tokens: int | None = Field(None, ge=1)
    """Longer sentences are left out of training, and counted. When null, one over the budget is an error."""


class TextBatches:
    """The batches of one rank; see :class:`speechkit.train.task.Batches`.

    All sentences are sorted by length, in an order of their own where they are equally long, and cut into *steps*: runs of
    neighbours with one batch for every rank, as large as the budget allows. The sentences of a step are dealt to the ranks
    in turn; the steps are then shuffled. So every sentence is drawn once per epoch, and ranks take equally many steps;
    only where fewer sentences than ranks are left for the last step are some of them repeated.

    The batches depend on nothing but the lengths, the config and (seed, epoch, world_size).

    Args:
        texts: To draw from, in this order.
        config: Budget and limits.
        shuffle: Whether batches and their order change with the epoch; without it they are sorted, the longest first.
        seed: Of the shuffling.
        rank: Index of this process, in [0, world_size).
        world_size: Number of processes.

    Raises:
        ValueError: A sentence is longer than a batch may be, or none is left.
    """

    def __init__(
        self,
        texts: Sequence[TokenizedText],
        config: TextSamplerConfig,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.texts, self.config, self.shuffle = texts, config, shuffle
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.starts = np.cumsum([0, *map(len, texts)])
        lens = np.concatenate([text.lens for text in texts])
        keep = lens <= (config.max_tokens or config.batch_tokens - 1)
        if config.max_tokens is None and not keep.all():
            text, index = self._locate(int(np.argmin(keep)))
            raise ValueError(
                f"{text.id(index)}: expected a sentence and its end of at most batch_tokens = {config.batch_tokens} tokens, "
                f"got {text.lens[index] + 1}; raise batch_tokens, or set max_tokens to leave such sentences out"
            )
        if not keep.any():
            raise ValueError(f"max_tokens: expected sentences of at most {config.max_tokens} tokens, got none; raise it")
        self.kept = np.flatnonzero(keep)
        self.left_out = len(lens) - len(self.kept)
        self.lens = lens[self.kept]
        self.steps = list(self._steps(np.sort(self.lens)[::-1]))

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self.steps)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TextBatch]:
        """The batches of ``epoch`` from index ``start`` on; the same ones however often it is asked."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lens)) if self.shuffle else np.arange(len(self.lens))
        order = self.kept[order[np.argsort(-self.lens[order], kind="stable")]]
        steps = random.permutation(len(self.steps)) if self.shuffle else np.arange(len(self.steps))
        for step in steps[start:]:
            indices = order[self.steps[step]]
            dealt = itertools.islice(itertools.cycle(indices.tolist()), max(len(indices), self.world_size))
            yield self._batch(list(dealt)[self.rank :: self.world_size])

    def _steps(self, lens: np.ndarray) -> Iterator[slice]:
        """Cut lengths (N,), the longest first, into runs."""
        first = 0
        while first < len(lens):
            share = max(1, self.config.batch_tokens // (int(lens[first]) + 1))
            share = min(share, self.config.max_batch or share)
            yield slice(first, first + share * self.world_size)
            first += share * self.world_size

    def _batch(self, indices: Sequence[int]) -> TextBatch:
        places = [self._locate(index) for index in indices]
        tokens, lens = pad_stack([torch.from_numpy(text[index].astype(np.int64)) for text, index in places])
        return TextBatch([text.id(index) for text, index in places], tokens, lens)

    def _locate(self, index: int) -> tuple[TokenizedText, int]:
        which = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.texts[which], index - int(self.starts[which])
