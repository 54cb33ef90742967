"""Features on disk, for ``data.features: precomputed``: computed once, in the format of Lhotse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from lhotse import CutSet, Features, NumpyFilesWriter
from lhotse.cut import Cut, MonoCut

from speechkit.data.cuts import load_audio, open_cuts, write_cuts
from speechkit.features.base import Featurizer
from speechkit.tasks.asr import AsrTask
from speechkit.tasks.manifests import manifest_path, stored_path


def store_features(config: AsrTask.Config) -> list[Path]:
    """Compute the features of every split that the config uses and that has none yet.

    Returns:
        The manifests with features.
    """
    featurizer, written = config.featurizer.build().eval(), []
    for name in dict.fromkeys([*config.data.train, *config.data.valid, *config.data.test]):
        target = stored_path(name, config)
        if not target.exists():
            cuts, arrays = open_cuts(manifest_path(name, config)), target.with_name(target.name.removesuffix(".jsonl.gz"))
            write_cuts(CutSet.from_cuts(_stored(cuts, featurizer, arrays)), target)
        written.append(target)
    return written


def _stored(cuts: CutSet, featurizer: Featurizer, folder: Path) -> Iterator[Cut]:
    folder.mkdir(parents=True, exist_ok=True)
    with NumpyFilesWriter(str(folder)) as writer:
        for cut in cuts:
            yield _with_features(cut, featurizer, writer)


@torch.inference_mode()
def _with_features(cut: Cut, featurizer: Featurizer, writer: NumpyFilesWriter) -> MonoCut:
    """The cut with its features; a mixture becomes a plain cut whose audio is what was mixed."""
    wav = torch.from_numpy(load_audio(cut, featurizer.sampling_rate))
    feats = featurizer(wav[None], torch.tensor([len(wav)]))[0][0].numpy().astype(np.float32)
    stored = Features(
        type="speechkit", num_frames=len(feats), num_features=feats.shape[1], frame_shift=featurizer.frame_shift,
        sampling_rate=featurizer.sampling_rate, start=0.0, duration=len(wav) / featurizer.sampling_rate,
        storage_type=writer.name, storage_path=str(writer.storage_path), storage_key=writer.write(cut.id, feats),
        recording_id=cut.id, channels=0,
    )  # fmt: skip
    supervision = cut.supervisions[0]
    return MonoCut(cut.id, 0.0, stored.duration, 0, [supervision], features=stored, custom={"source": cut.id})
