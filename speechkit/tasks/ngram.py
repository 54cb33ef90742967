"""N-gram language models of transcripts and texts, over the tokens of a recogniser or over words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from speechkit.data.text import read_sentences
from speechkit.graphs.arpa import UNKNOWN, ngram_counts, symbol_names, write_arpa
from speechkit.graphs.ngram import NGram
from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.ngram_pruning import prune
from speechkit.tasks.asr import AsrTask
from speechkit.tasks.texts import text_path
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary

Unit = Literal["token", "word"]


@dataclass(frozen=True)
class NGramOptions:
    """How a model is estimated.

    Args:
        order: n of the longest n-grams.
        unit: What the symbols are.
        smoothing: ``kneser_ney`` for words, ``witten_bell`` for few different symbols or little data.
        min_counts: For the lengths 1, 2, ... how often an n-gram must occur to be kept.
        prune: Relative change of the perplexity that leaving out one n-gram may cost; 0 keeps all.
        texts: Names of splits, manifests, ``.txt`` or ``.gz`` files; the config's ``data.train`` if empty.
    """

    order: int = 3
    unit: Unit = "token"
    smoothing: Literal["kneser_ney", "witten_bell"] = "witten_bell"
    min_counts: tuple[int, ...] = ()
    prune: float = 0.0
    texts: tuple[str, ...] = ()


def make_ngram(config: AsrTask.Config, tokenizer: Tokenizer, options: NGramOptions, path: Path) -> dict[str, Any]:
    """Estimate a model and write it as an ARPA file.

    Args:
        config: Of the recogniser: its normalizer and data.
        tokenizer: Of the recogniser.
        options: How.
        path: The file, packed if it ends in ``.gz``.

    Returns:
        ``ngrams``, how many the file has of each length, and ``perplexity``, for each validation set that is there the one
        per symbol, ends of sentences counted.

    Raises:
        ValueError: A text is missing or cannot be encoded, or an option makes no sense; nothing is written then.
    """
    names, symbols = _symbols(config, tokenizer, options)
    vocabulary = Vocabulary(len(names))
    texts = options.texts or tuple(config.data.train)
    sentences = (symbols(sentence) for text in texts for sentence in _sentences(text, config))
    model = estimate(sentences, vocabulary, options.order, options.smoothing, options.min_counts)
    if options.prune:
        model = prune(model, options.prune)
    write_arpa(path, model, names)
    return {"ngrams": ngram_counts(model), "perplexity": _perplexities(model, symbols, config)}


def _symbols(config: AsrTask.Config, tokenizer: Tokenizer, options: NGramOptions) -> tuple[list[str], Any]:
    """The names of the symbols, and a function from a normalised sentence to their ids."""
    if options.unit == "token":
        return symbol_names(tokenizer.tokens), tokenizer.encode
    texts = options.texts or tuple(config.data.train)
    words = sorted({word for text in texts for sentence in _sentences(text, config) for word in sentence.split()})
    reserved = {"<s>", "</s>", UNKNOWN, "<blank>"}
    names = ["<blank>", UNKNOWN, *(word for word in words if word not in reserved), "</s>"]
    ids = {word: index for index, word in enumerate(names)}
    return names, lambda sentence: [ids.get(word, Tokenizer.unk_id) for word in sentence.split()]


def _sentences(text: str, config: AsrTask.Config) -> Iterator[str]:
    normalizer = config.normalizer.build()
    return (normalizer(sentence) for _, sentence in read_sentences(text_path(text, config)))


def _perplexities(model: NGram, symbols: Any, config: AsrTask.Config) -> dict[str, float]:
    names: Sequence[str] = [name for name in config.data.valid if text_path(name, config).exists()]
    return {name: model.perplexity(symbols(sentence) for sentence in _sentences(name, config)) for name in names}
