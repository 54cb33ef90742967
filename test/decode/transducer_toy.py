"""A small transducer with random weights, and all of its alignments, one by one."""

from __future__ import annotations

import math
from collections import defaultdict

import torch

from speechkit.decode.base import Search
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.base import Predictor
from speechkit.models.predictor.lstm import Lstm
from speechkit.text.vocabulary import Vocabulary

D = 5


def toy(
    vocab_size: int = 4, seed: int = 0, blank_bonus: float = 0.0, blank_id: int = 0, predictor: Predictor.Config | None = None
) -> Transducer:
    """A decoder whose distributions are neither flat nor certain, and depend on frame and history."""
    torch.manual_seed(seed)
    config = Transducer.Config(joiner_dim=7, predictor=predictor or Lstm.Config(dim=6))
    decoder = config.build(in_dim=D, vocabulary=Vocabulary(vocab_size, blank_id)).double().eval()
    for parameter in decoder.parameters():
        parameter.data.mul_(2.5)
    decoder.joiner.out.bias.data[blank_id] += blank_bonus
    return decoder.requires_grad_(False)


def encodings(*shape: int, seed: int = 0) -> torch.Tensor:
    """(*shape, D) random encodings in double precision."""
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def build(name: str, vocabulary: Vocabulary, **options) -> Search:
    """A search with those of the options that it has."""
    config = Search.registry[name].Config
    return config(**{key: value for key, value in options.items() if key in config.model_fields}).build(vocabulary=vocabulary)


def log_probs_after(decoder: Transducer, encoded: torch.Tensor, labels: tuple[int, ...]) -> list[list[float]]:
    """Log-probability of each symbol in each frame (S, V), by a predictor that reads the whole history again."""
    tokens = torch.tensor([labels], dtype=torch.int64)
    predicted = decoder.predictor(tokens, torch.tensor([len(labels)]))[0, -1]
    joiner = decoder.joiner
    return joiner(joiner.encoder_proj(encoded), joiner.predictor_proj(predicted)).log_softmax(-1).tolist()


def probability_of_all(decoder: Transducer, encoded: torch.Tensor, limit: int, most: int = 99) -> dict[tuple[int, ...], float]:
    """Each label sequence's log-probability, by enumeration of all alignments of the encodings (S, D).

    ``limit`` is the number of labels that a frame may hold before its blank; 1: a frame holds one symbol. ``most`` is the
    number of labels in all.
    """
    blank, cache = decoder.vocabulary.blank_id, {}
    found = defaultdict(float)

    def walk(frame: int, in_frame: int, labels: tuple[int, ...], score: float) -> None:
        if frame == len(encoded):
            found[labels] += math.exp(score)
            return
        if labels not in cache:
            cache[labels] = log_probs_after(decoder, encoded, labels)
        for token, log_prob in enumerate(cache[labels][frame][:-1]):  # the last one is the end of sentences, no label
            if token == blank:
                walk(frame + 1, 0, labels, score + log_prob)
            elif len(labels) < most and in_frame < limit:
                stay = limit > 1
                walk(frame + (not stay), (in_frame + 1) * stay, (*labels, token), score + log_prob)

    walk(0, 0, (), 0.0)
    return {labels: math.log(probability) for labels, probability in found.items()}
