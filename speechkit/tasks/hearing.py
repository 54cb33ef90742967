"""What a recogniser hears in what a voice says: the check of intelligibility that needs no listeners."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from speechkit.metrics.error_rate import score
from speechkit.tasks.recognizer import BATCH_SECONDS, Recognizer
from speechkit.tasks.spoken_sets import SpokenSet

SHORTEST = 0.1
"""Seconds; in less nothing is heard."""


def hear(recognizer: Recognizer, spoken: SpokenSet, kind: str) -> dict[str, dict[str, Any]]:
    """What is said in all recordings of a kind.

    Utterances of like lengths are recognised together; long ones are cut at pauses. What has samples that are not finite,
    or is too short, is not listened to: nothing is heard in it.

    Args:
        recognizer: Of the language of the voice.
        spoken: The set.
        kind: One of :data:`speechkit.tasks.spoken_sets.KINDS`.

    Returns:
        By utterance, for those that have such a recording, ``text`` and ``words``: word, start, end and confidence, as in
        ``hyps.jsonl``.
    """
    rows = sorted((row for row in spoken.rows if spoken.place(row, kind)), key=lambda row: _seconds(row, kind))
    wavs = ((row["id"], spoken.read(row, kind, recognizer.sampling_rate)) for row in rows)
    found = {row["id"]: {"text": "", "words": []} for row in rows}
    audible = ((id, wav) for id, wav in wavs if len(wav) >= SHORTEST * recognizer.sampling_rate and np.isfinite(wav).all())
    for batch in _batches(audible, recognizer):
        found |= dict(zip([id for id, _ in batch], _recognize(recognizer, [wav for _, wav in batch]), strict=True))
    return found


def error_counts(
    recognizer: Recognizer, spoken: SpokenSet, heard: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Word and character error rates of what was heard, as ``speechkit score`` counts them.

    Args:
        recognizer: Whose normalizer makes references of the texts.
        spoken: The set.
        heard: By utterance, from :func:`hear`.

    Returns:
        ``wer`` and ``cer`` of the set, as :meth:`ErrorRate.to_dict` gives them; and by utterance their fractions.
    """
    texts = {row["id"]: recognizer.normalizer(row["text"]) for row in spoken.rows if row["id"] in heard}
    totals, each = {}, {id: {} for id in texts}
    for unit, name in (("word", "wer"), ("char", "cer")):
        report = score([(id, text, heard[id]["text"]) for id, text in texts.items()], unit)
        totals[name] = report.total.to_dict()
        for utterance in report.utterances:
            each[utterance.id][name] = utterance.errors / max(utterance.ref_len, 1)
    return totals, each


def _seconds(row: dict[str, Any], kind: str) -> float:
    seconds = row["natural"].get("duration") if kind == "natural" else row.get("duration")
    return math.inf if seconds is None else seconds


def _batches(
    wavs: Iterable[tuple[str, np.ndarray]], recognizer: Recognizer
) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Batches that padded last no longer than a budget; what is longer than the recogniser takes at once is alone."""
    longest, batch = recognizer.max_seconds * recognizer.sampling_rate, []
    for id, wav in wavs:
        padded = (len(batch) + 1) * max([len(wav), *(len(other) for _, other in batch)])
        if batch and (padded > BATCH_SECONDS * recognizer.sampling_rate or len(wav) > longest):
            yield batch
            batch = []
        batch.append((id, wav))
    if batch:
        yield batch


def _recognize(recognizer: Recognizer, wavs: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    rate = recognizer.sampling_rate
    if max(map(len, wavs)) > recognizer.max_seconds * rate:
        transcripts = [recognizer.transcribe(wav) for wav in wavs]
        return [_heard(each.text, each.words) for each in transcripts]
    best = [hypotheses[0] for hypotheses in recognizer.search_wavs(wavs)]
    return [
        _heard(recognizer.text(each), recognizer.words(each, 0.0, len(wav) / rate)) for each, wav in zip(best, wavs)
    ]


def _heard(text: str, words: Sequence[Any]) -> dict[str, Any]:
    found = [
        {"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3), "confidence": round(w.confidence, 4)}
        for w in words
    ]
    return {"text": text, "words": found}
