"""Which cuts form which batch: neighbours in duration, under a budget of padded seconds, equal steps on every rank."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from lhotse.cut import Cut
from torch.utils.data import Sampler

from speechkit.config import Config
from speechkit.data.augment import Augmenter

_ROUNDING = 1e-6  # s; durations are sums of sample periods


class SamplerConfig(Config):
    """How utterances are grouped into batches."""

    batch_duration: float = 200.0
    """Budget of one rank's batch in padded seconds: longest utterance times number of utterances."""

    max_batch: int | None = None
    """Most utterances in one rank's batch; no limit when null."""

    min_duration: float = 0.0
    """Seconds; shorter utterances are left out and counted."""

    max_duration: float | None = None
    """Seconds; longer utterances are left out and counted. When null, one over the budget is an error."""

    step_cost: float = 0.02
    """Padding that is accepted to save one step, as a share of ``batch_duration``. Batches minimize padded seconds plus
    this for every step: 0.01 gives more, smaller batches with less padding, 1.0 as few as the budget allows."""

    window: int = 20000
    """Utterances that are held at once, and sorted among themselves."""

    jitter: float = 0.01
    """Relative range in which durations are shifted before sorting, so that batches differ between epochs."""


class BucketSampler(Sampler[list[Cut]]):
    """Batches of cuts of similar duration, for ``DataLoader(batch_size=None, sampler=...)``.

    The cuts are streamed in windows. A window is sorted by (jittered) duration and cut into *steps*: runs of
    neighbours that hold one batch for every rank, with the least total padding (see ``SamplerConfig.step_cost``). The
    cuts of a step are dealt to the ranks in turn, so batches of one step differ by at most one utterance and hardly in
    length. The steps of the window are then shuffled. Every utterance is drawn once per epoch; only where a window
    leaves fewer cuts than ranks for its last step are some of them repeated, so that no rank waits for another.

    The batches depend on nothing but the cuts, the config and (seed, epoch, world_size), and are planned from the
    manifest alone. Epoch and position can therefore be set at will: resuming skips batches and reads no audio.

    Args:
        cuts: A ``CutSet``, lazy or not, or a list; walked through once per epoch.
        config: Budget, filters, window.
        shuffle: Whether batches and their order change with the epoch; without it they are sorted by duration.
        seed: Of the shuffling.
        rank: Index of this process, in [0, world_size).
        world_size: Number of processes.
        augmenter: Changes the speed, and so the duration, of cuts as a function of the epoch.

    Attributes:
        epoch: Index of the epoch.
        batch: Index of the next batch of this epoch. A ``DataLoader`` with workers draws ahead of what it has
            returned: there the count of batches received is the position to resume from.
        skipped: Number of cuts left out in the last pass by reason.
    """

    def __init__(
        self,
        cuts: Iterable[Cut],
        config: SamplerConfig,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        augmenter: Augmenter | None = None,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank: expected 0 to {world_size - 1} for {world_size} processes, got {rank}")
        self.cuts, self.config, self.augmenter = cuts, config, augmenter
        self.shuffle, self.seed, self.rank, self.world_size = shuffle, seed, rank, world_size
        self.epoch = self.batch = 0
        self.skipped: Counter[str] = Counter()
        self._num_steps: dict[int, int] = {}

    def __len__(self) -> int:
        """Number of batches in the current epoch; the first call walks through the manifest."""
        if self.epoch not in self._num_steps:
            self._num_steps = {self.epoch: sum(1 for _ in self._steps(self.epoch))}
        return self._num_steps[self.epoch]

    def __iter__(self) -> Iterator[list[Cut]]:
        """The batches of the current epoch from the current position on."""
        for batch in self.batches(self.epoch, self.batch):
            self.batch += 1
            yield batch
        self.batch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of ``epoch``."""
        self.epoch, self.batch = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Where the sampler stands."""
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a place that :meth:`state_dict` gave."""
        self.epoch, self.batch = state["epoch"], state["batch"]

    def batches(self, epoch: int, start: int = 0) -> Iterator[list[Cut]]:
        """This rank's batches of any epoch from index ``start`` on, without moving the sampler."""
        for step in itertools.islice(self._steps(epoch), start, None):
            dealt = list(itertools.islice(itertools.cycle(step), max(len(step), self.world_size)))
            mine = dealt[self.rank :: self.world_size]
            yield mine if self.augmenter is None else [self.augmenter(cut, epoch) for cut in mine]

    def worst_batch(self, epoch: int = 0) -> list[Cut]:
        """The batch of the first window with the most padded seconds: if it fits into memory, the others do."""
        window = next(self._windows(epoch))
        order = sorted(range(len(window)), key=lambda i: -window[i][0])
        steps = self._pack(np.array([window[i][0] for i in order]))
        worst = max(steps, key=lambda step: window[order[step.start]][0] * -(-len(step) // self.world_size))
        return [window[order[i]][1] for i in worst[:: self.world_size]]

    def _steps(self, epoch: int) -> Iterator[list[Cut]]:
        """The cuts of all ranks, step by step."""
        for index, window in enumerate(self._windows(epoch)):
            random = np.random.default_rng([self.seed, epoch, index])
            durations = np.array([duration for duration, _ in window])
            jitter = random.uniform(-self.config.jitter, self.config.jitter, len(window)) if self.shuffle else 0.0
            # Longest first: what is left for the last, incomplete step is short.
            order = np.argsort(-durations * (1 + jitter), kind="stable")
            steps = self._pack(durations[order])
            for i in random.permutation(len(steps)) if self.shuffle else range(len(steps)):
                yield [window[order[j]][1] for j in steps[i]]

    def _windows(self, epoch: int) -> Iterator[list[tuple[float, Cut]]]:
        """The cuts that pass the filters, with their durations in this epoch, a window at a time."""
        self.skipped = Counter()
        admitted = ((self._duration(cut, epoch), cut) for cut in self.cuts if self._admit(cut))
        empty = True
        while window := list(itertools.islice(admitted, self.config.window)):
            empty = False
            yield window
        if empty:
            raise ValueError(
                f"no cuts to draw batches from; the filters min_duration/max_duration left out {dict(self.skipped)}"
            )

    def _admit(self, cut: Cut) -> bool:
        # The filters look at the duration before augmentation: the same utterances in every epoch.
        low, high = self.config.min_duration, self.config.max_duration
        reason = "too short" if cut.duration < low else "too long" if high is not None and cut.duration > high else None
        if reason is not None:
            self.skipped[reason] += 1
        return reason is None

    def _duration(self, cut: Cut, epoch: int) -> float:
        """Seconds in this epoch.

        Raises:
            ValueError: More than a batch may hold.
        """
        duration = cut.duration if self.augmenter is None else cut.duration / self.augmenter.speed(cut, epoch)
        if duration > self.config.batch_duration + _ROUNDING:
            raise ValueError(
                f"cut {cut.id}: expected at most batch_duration = {self.config.batch_duration} s, got "
                f"{duration:.2f} s; raise batch_duration, or set max_duration to leave such cuts out"
            )
        return duration

    def _pack(self, durations: np.ndarray) -> list[range]:
        """Cut a sorted window into steps.

        ``cost[i] = min_j cost[j] + (i - j) max(longest[j:i]) + step_cost``, over rows of ``world_size`` cuts each and
        the ``j`` for which one rank's share, the middle term, is within the budget.

        Args:
            durations: (N,) seconds, nearly descending.

        Returns:
            Ranges of indices into ``durations``.
        """
        size, budget = self.world_size, self.config.batch_duration
        longest = np.maximum.reduceat(durations, np.arange(0, len(durations), size))
        most = min(self.config.max_batch or len(longest), len(longest))
        cost, begin = np.zeros(len(longest) + 1), np.zeros(len(longest) + 1, dtype=int)
        for i in range(1, len(longest) + 1):
            first = i - min(i, most, max(1, int((budget + _ROUNDING) / longest[i - 1])))
            share = np.maximum.accumulate(longest[first:i][::-1])[::-1] * np.arange(i - first, 0, -1)
            costs = np.where(share <= budget + _ROUNDING, cost[first:i] + share, np.inf)
            begin[i] = first + np.argmin(costs)
            cost[i] = costs.min() + self.config.step_cost * budget
        steps, end = [], len(longest)
        while end > 0:
            steps.append(range(begin[end] * size, min(end * size, len(durations))))
            end = begin[end]
        return steps[::-1]
