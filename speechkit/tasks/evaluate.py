"""After training: average weights into a model, decode test sets, score what was decoded. All of it in files."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit import config as configs
from speechkit.data.batch import AsrBatch
from speechkit.data.cuts import check_cuts
from speechkit.data.dataset import AsrDataset
from speechkit.data.loader import BatchLoader
from speechkit.decode.base import Hypothesis
from speechkit.metrics.error_rate import ScoreReport, score
from speechkit.tasks.asr import AsrTask
from speechkit.tasks.base import TRAINING_DATA, load_config
from speechkit.tasks.manifests import evaluation_sampler, open_splits, split_paths
from speechkit.tasks.recognizer import Recognizer
from speechkit.train import checkpoint
from speechkit.train.logger import finite_or_text
from speechkit.utils import machine
from speechkit.utils.files import atomic_write
from speechkit.utils.model_dir import read_json, write_checksums
from speechkit.utils.utterances import named

SCORES = ("wer.json", "cer.json", "errors.txt")


def average(exp_dir: Path, network: str = "model") -> list[Path]:
    """Average the weights that training kept, and finish the model directory with its checksums.

    Returns:
        The files that were averaged.

    Raises:
        ValueError: Training has not kept any.
    """
    paths = [path for _, path in checkpoint.steps(exp_dir / "weights" / network, ".safetensors")]
    if not paths:
        raise ValueError(f"{exp_dir}/weights/{network}: expected weights of a trained network, found none; train first")
    facts = {"averaged": [path.name for path in paths], **read_json(exp_dir / TRAINING_DATA)}
    del facts["fingerprints"]
    checkpoint.save_weights(checkpoint.average(paths), exp_dir / "averaged.safetensors", facts)
    write_checksums(exp_dir)
    return paths


def decode(exp_dir: Path, sets: Sequence[str] = (), overrides: Sequence[str] = (), device: str = "auto") -> list[Path]:
    """Decode test sets with the averaged model.

    Args:
        exp_dir: The experiment.
        sets: Names of splits or paths of manifests; the config's ``data.test`` unless given.
        overrides: ``search.*=...`` and ``data.*=...`` keys to change.
        device: ``cpu``, ``cuda`` or ``auto``.

    Returns:
        The folders ``decode/<set>`` that were written.
    """
    config = decoding_config(exp_dir, overrides)
    names = sets or config.data.test
    check_sets(names, config)
    recognizer = Recognizer.load(exp_dir, device=device, search=config.search)
    return [_decode_set(exp_dir, name, config, recognizer) for name in names]


def decoding_config(exp_dir: Path, overrides: Sequence[str]) -> AsrTask.Config:
    """The experiment's config with another search or other data.

    Raises:
        ConfigError: An override changes something that training has fixed.
    """
    for override in overrides:
        if not override.startswith(("search.", "search=", "data.")):
            raise configs.ConfigError(f"{override}: decoding can change search.* and data.* only; train again for the rest")
    return load_config(exp_dir / "config.yaml", overrides, task="asr")


def set_name(name: str) -> str:
    """What a set of utterances is called in results: a split's name, or the name of a manifest without its ending."""
    return Path(name).name.removesuffix(".gz").removesuffix(".jsonl")


def check_sets(names: Sequence[str], config: Any, kind: str = "decode") -> None:
    """Refuse sets whose results would overwrite each other in the folder ``kind``, and manifests that are not whole."""
    for called, among in itertools.groupby(sorted(set(names), key=set_name), key=set_name):
        if len(same := list(among)) > 1:
            raise ValueError(f"{' and '.join(same)}: both would be {kind}/{called}; rename one, or use two experiments")
    for path in split_paths(names, config):
        check_cuts(path)


def _decode_set(exp_dir: Path, name: str, config: AsrTask.Config, recognizer: Recognizer) -> Path:
    folder = exp_dir / "decode" / set_name(name)
    cuts = {cut.id: cut for cut in open_splits([name], config)}
    started, rows = time.perf_counter(), {}
    for batch, encoder_out, lens in _encoded(cuts.values(), config, recognizer):
        with named(batch.ids):
            nbest = recognizer.search_encoded(encoder_out, lens)
        for i, hypotheses in enumerate(nbest):
            rows[batch.ids[i]] = _row(cuts[batch.ids[i]], batch.texts[i], hypotheses, recognizer)
    seconds = time.perf_counter() - started
    for stale in SCORES:  # of what was decoded here before
        (folder / stale).unlink(missing_ok=True)
    with atomic_write(folder / "hyps.jsonl") as file:
        file.writelines(json.dumps(rows[i], ensure_ascii=False) + "\n" for i in cuts)
    audio_seconds = sum(cut.duration for cut in cuts.values())
    search = config.search.model_dump(mode="json")
    facts = {"set": folder.name, "search": search, "seconds": seconds, "audio_seconds": audio_seconds}
    facts |= {"rtf": seconds / max(audio_seconds, 1e-9), "threads": torch.get_num_threads(), "date": machine.today()}
    facts |= {"machine": machine.describe(), "command": machine.command()}
    write_json(facts, folder / "decode.json")
    return folder


def encoded(
    names: Sequence[str], config: AsrTask.Config, recognizer: Recognizer
) -> Iterator[tuple[AsrBatch, Tensor, Tensor]]:
    """The batches of some sets, with their encodings (B, S, D) and their lengths (B,)."""
    return _encoded(open_splits(names, config), config, recognizer)


def _encoded(
    cuts: Iterable[Any], config: AsrTask.Config, recognizer: Recognizer
) -> Iterator[tuple[AsrBatch, Tensor, Tensor]]:
    # References are not tokenized: they may hold symbols that training has never seen.
    dataset = AsrDataset(lambda text: [], recognizer.sampling_rate, config.data.features)
    for batch in BatchLoader(evaluation_sampler(config.data.sampler, list(cuts)), dataset).epoch(0):
        yield batch, *recognizer.encode(batch.inputs, batch.input_lens, batch.is_features)


def _row(cut: Any, ref: str, hypotheses: Sequence[Hypothesis], recognizer: Recognizer) -> dict[str, Any]:
    found = recognizer.words(hypotheses[0], 0.0, cut.duration)
    nbest = [{"text": recognizer.text(h), "score": round(h.score, 4), "scores": _parts(h)} for h in hypotheses]
    words = [
        {"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3), "confidence": round(w.confidence, 4)}
        for w in found
    ]
    row = {"id": cut.id, "ref": recognizer.normalizer(ref), "hyp": nbest[0]["text"], "duration": cut.duration}
    return row | {"audio": where_heard(cut), "words": words, "nbest": nbest}


def _parts(hypothesis: Hypothesis) -> dict[str, Any]:
    return finite_or_text({name: round(part, 4) for name, part in hypothesis.scores.items()})


def where_heard(cut: Any) -> dict[str, Any] | None:
    """Where to hear the utterance; None for a mixture, which has no single file."""
    if getattr(cut, "recording", None) is None:
        return None
    mono = isinstance(cut.channel, int)
    wanted = cut.channel if mono else cut.channel[0]
    source = next(each for each in cut.recording.sources if wanted in each.channels)
    if source.type != "file":
        return None
    audio = {"path": str(source.source), "start": cut.start, "duration": cut.duration}
    return audio | ({"channel": source.channels.index(wanted)} if mono and len(source.channels) > 1 else {})


def score_sets(exp_dir: Path) -> dict[str, tuple[ScoreReport, ScoreReport]]:
    """Score every decoded set of an experiment: words and characters; writes ``wer.json``, ``cer.json``, ``errors.txt``.

    Raises:
        ValueError: Nothing was decoded yet.
    """
    folders = sorted(path.parent for path in exp_dir.glob("decode/*/hyps.jsonl"))
    if not folders:
        raise ValueError(f"{exp_dir}/decode: expected decoded sets, found none; run `speechkit decode {exp_dir}` first")
    return {folder.name: _score_set(folder) for folder in folders}


def _score_set(folder: Path) -> tuple[ScoreReport, ScoreReport]:
    rows = _read_rows(folder / "hyps.jsonl")
    pairs = [(row["id"], row["ref"], row["hyp"]) for row in rows]
    words, characters = score(pairs, "word"), score(pairs, "char")
    write_json(words.total.to_dict(), folder / "wer.json")
    write_json(characters.total.to_dict(), folder / "cer.json")
    with atomic_write(folder / "errors.txt") as file:
        file.write(words.to_text())
    return words, characters


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        try:
            return [json.loads(line) for line in file]
        except ValueError as error:
            raise ValueError(f"{path}: expected lines of JSON ({error}); run `speechkit decode` again") from None


def write_json(value: Any, path: Path) -> None:
    with atomic_write(path) as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")
