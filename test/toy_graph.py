"""A small decoding graph, and what it must give: every sentence tried, without any automaton."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from speechkit.graphs.aligner import align_ctc
from speechkit.graphs.arpa import read_arpa
from speechkit.graphs.folder import DecodingGraph, write_graph
from speechkit.graphs.ngram import NGram
from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.spelling import Spellings, spell
from speechkit.text.symbols import CharTokenizer
from speechkit.text.tokenizer import Tokenizer

TEXTS = ["a ab b", "b a", "ab ab a", "a", "b ab", "a ab"]


def char_tokenizer() -> CharTokenizer:
    tokenizer = CharTokenizer.Config().build()
    tokenizer.fit(TEXTS)
    return tokenizer


def language_model(spellings: Spellings, order: int = 2, texts: list[str] = TEXTS) -> NGram:
    sentences = [[spellings.ids[word] for word in text.split()] for text in texts]
    return estimate(sentences, spellings.vocabulary, order, "witten_bell")


def toy_graph(folder: Path, tokenizer: Tokenizer | None = None, topology: str = "ctc", **options) -> DecodingGraph:
    """A bigram graph of the words a, ab and b."""
    tokenizer = tokenizer or char_tokenizer()
    spellings, missing = spell(" ".join(TEXTS).split(), tokenizer, **options)
    assert not missing
    write_graph(folder, tokenizer, spellings, language_model(spellings), topology, {})
    return DecodingGraph.read(folder)


def random_log_probs(num_frames: int, size: int, seed: int = 0, sharpness: float = 2.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((num_frames, size))
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def every_sentence(graph: DecodingGraph, log_probs: np.ndarray, most: int, topology: str = "ctc") -> dict[tuple, tuple]:
    """The sentences of at most ``most`` words that fit: log-probabilities of the network and of the graph, best together."""
    model = ngrams(graph)
    found = {}
    for count in range(most + 1):
        for words in itertools.product(graph.spellings.words, repeat=count):
            ids = tuple(graph.spellings.ids[word] for word in words)
            language = best_sentence(model, (graph.spellings.vocabulary.sos_id,), (*ids, graph.spellings.vocabulary.eos_id))
            ways = spelled(graph.spellings, words)
            paths = [(viterbi(log_probs, list(tokens), topology), language - cost) for tokens, cost in ways]
            best = max(paths, key=sum)
            if best[0] > -math.inf:
                found[words] = best
    return found


def spelled(spellings: Spellings, words: tuple[str, ...]):
    """Every way to spell a sentence, with its cost."""
    for ways in itertools.product(*(spellings.words[word].items() for word in words)):
        tokens = [token for number, (way, _) in enumerate(ways) for token in (*(spellings.separator if number else ()), *way)]
        yield tokens, sum(cost for _, cost in ways)


def viterbi(log_probs: np.ndarray, tokens: list[int], topology: str) -> float:
    """The likeliest path of a known token sequence."""
    if topology == "ctc":
        return align_ctc(log_probs, tokens).score
    best = -math.inf if tokens or len(log_probs) else 0.0
    for borders in itertools.combinations(range(1, len(log_probs)), max(0, len(tokens) - 1)):
        pieces = zip(tokens, (0, *borders), (*borders, len(log_probs)))
        best = max(best, sum(log_probs[a:b, token].sum() for token, a, b in pieces)) if tokens else best
    return best


def ngrams(graph: DecodingGraph) -> dict[tuple[int, ...], tuple[float, float]]:
    """n-gram -> log-probability, log backoff weight, as the ARPA file says."""
    model = read_arpa(graph.folder / "lm.arpa", graph.names)
    return {
        tuple(ngram): (model.log_probs[model.level(n)][row], model.log_backoffs[model.level(n)][row])
        for n in range(1, model.order + 1)
        for row, ngram in enumerate(model.ngrams(n).tolist())
    }


def best_sentence(model: dict, history: tuple[int, ...], words: tuple[int, ...]) -> float:
    """The likeliest way through n-grams and backoffs, where backing off is free to be done anywhere."""
    if not words:
        return 0.0
    ways = [-math.inf]
    if (*history, words[0]) in model:
        longest = max((len(k) - 1 for k in model), default=0)
        new = (*history, words[0])
        while new and (len(new) > longest or new not in model):
            new = new[1:]
        ways.append(model[*history, words[0]][0] + best_sentence(model, new, words[1:]))
    if history:
        ways.append(model.get(history, (0.0, 0.0))[1] + best_sentence(model, history[1:], words))
    return max(ways)
