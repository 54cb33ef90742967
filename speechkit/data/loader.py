"""Joins a sampler and a dataset into the batches that the trainer or an evaluation walks through."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from speechkit.data.batch import AsrBatch
from speechkit.data.dataset import AsrDataset
from speechkit.data.sampler import BucketSampler


class BatchLoader:
    """The batches of a sampler, read by ``num_workers`` processes; see :class:`speechkit.train.task.Batches`.

    Args:
        sampler: Decides which cuts form which batch.
        dataset: Turns cuts into tensors.
        num_workers: Reading processes; 0 reads in this one, which is best for small corpora that stay in memory.
    """

    def __init__(self, sampler: BucketSampler, dataset: AsrDataset, num_workers: int = 0) -> None:
        self.sampler, self.length = sampler, None
        self.loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            worker_init_fn=leave_signals_to_the_main_process,
            generator=torch.Generator(),  # the global one must not depend on how often loading was started
        )

    def __len__(self) -> int:
        """Number of batches in the first epoch; those of others differ a little where augmentation changes speeds."""
        if self.length is None:
            self.length = len(self.sampler)
        return self.length

    def epoch(self, epoch: int, start: int = 0) -> Iterator[AsrBatch]:
        """The batches of ``epoch`` from index ``start`` on."""
        self.sampler.load_state_dict({"epoch": epoch, "batch": start})
        return iter(self.loader)


def leave_signals_to_the_main_process(worker: int) -> None:
    """Ctrl-C, and a cluster's SIGTERM, reach every process of the group: a reader has to go on until the trainer stops.

    Only the main process ends its readers, by a SIGTERM of its own; who sent a signal is known to ``sigwaitinfo`` alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_main_process_says_so, daemon=True).start()


def _end_when_the_main_process_says_so() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
