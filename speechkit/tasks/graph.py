"""Decoding graphs of an experiment: a lexicon of the model's tokens and an n-gram model of the training transcripts."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from speechkit.decode.wfst import WfstSearch
from speechkit.graphs import arpa
from speechkit.graphs.folder import check_words, word_names, write_graph
from speechkit.graphs.ngram import NGram
from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.spelling import Spellings, spell
from speechkit.graphs.wfst import openfst
from speechkit.objectives.base import Objective
from speechkit.tasks.asr import AsrTask
from speechkit.tasks.manifests import manifest_path, open_splits, transcripts
from speechkit.text.lexicon import Lexicon
from speechkit.text.tokenizer import Tokenizer
from speechkit.utils import log
from speechkit.utils.files import find_file, sha256

RESERVED = ("<eps>", "<s>", "</s>", "<unk>", "<UNK>")


@dataclass(frozen=True)
class GraphOptions:
    """How a graph is made.

    Args:
        topology: ``ctc``; or ``hmm``, which has no blank, for objectives of one's own that have none.
        order: Of the n-gram model estimated on the training transcripts.
        smoothing: Of that model.
        arpa: A language model to take instead.
        lexicon: Pronunciations in the model's tokens; by default the tokenizer spells the words.
        missing: What to do with words of the language model that have no spelling.
    """

    topology: str = "ctc"
    order: int = 3
    smoothing: Literal["kneser_ney", "witten_bell"] = "kneser_ney"
    arpa: Path | None = None
    lexicon: Path | None = None
    missing: Literal["error", "drop"] = "error"


def build_graph(config: AsrTask.Config, tokenizer: Tokenizer, options: GraphOptions, folder: Path) -> dict[str, Any]:
    """Make the decoding graph of an experiment.

    Words are what spaces separate in normalised transcripts.

    Args:
        config: The experiment.
        tokenizer: Of its model.
        options: How.
        folder: Where to write it.

    Returns:
        What ``graph.json`` holds.

    Raises:
        ValueError: No objective can be searched through such a graph, a word has no spelling, the ARPA file or the lexicon is
            not usable, there is no text, or kaldifst is not installed.
    """
    check_searchable(config.objectives)
    check_topology(options.topology, config.objectives)
    openfst()  # before minutes of work
    if options.arpa is not None:
        find_file(options.arpa, None, "an ARPA file", f"make one with `speechkit lm CONF|MODEL --unit word --to {options.arpa}`")
    sentences = [] if options.arpa else training_sentences(config)
    words = arpa.read_names(options.arpa) if options.arpa else [word for sentence in sentences for word in sentence]
    lexicon = None if options.lexicon is None else Lexicon.read(options.lexicon)
    spellings, missing = spell((word for word in words if word not in RESERVED), tokenizer, lexicon)
    if missing and options.missing == "error":
        where = str(options.lexicon or f"{tokenizer.config.name} tokenizer")
        check_words(missing, where, "a spelling", "add them, or leave them out with --missing drop")
    if not spellings.words:
        source = options.arpa or ", ".join(config.data.train)
        raise ValueError(f"{source}: expected words for the graph, got none that has a spelling; give more text")
    model = _language_model(options, spellings, sentences)
    sources = {"missing": len(missing), "unseen": unseen_words(config, spellings)}
    sources |= {"smoothing": None if options.arpa else options.smoothing, "arpa": _described(options.arpa)}
    sources |= {"lexicon": _described(options.lexicon), "text": None if options.arpa else _text_sum(sentences)}
    return write_graph(folder, tokenizer, spellings, model, options.topology, sources)


def check_searchable(objectives: Mapping[str, Objective.Config]) -> None:
    """Refuse a model that cannot be searched through a decoding graph.

    Raises:
        ValueError: Naming the objectives that can.
    """
    for name in objectives:
        with contextlib.suppress(ValueError):
            return WfstSearch.check(WfstSearch.Config(objective=name), objectives)
    got = ", ".join(objective.name for objective in objectives.values())
    raise ValueError(
        "objectives: expected one that the search wfst can read through a graph (ctc, ctc_crf, gtc, or lf_mmi with topology: "
        f"ctc), got {got}; decode without a graph of words, or train with one of these"
    )


def check_topology(topology: str, objectives: Mapping[str, Objective.Config]) -> None:
    """Refuse a graph without the blank for a model all of whose objectives are trained with it; only objectives of one's own,
    from a file that is imported, may have none.

    Raises:
        ValueError: Naming the objectives.
    """
    ours = [each.name for each in objectives.values() if each.component.__module__.startswith("speechkit.")]
    if topology == "hmm" and len(ours) == len(objectives):
        raise ValueError(
            f"topology: expected ctc, since the frames of {', '.join(ours)} may be blank, got hmm, whose graph has no blank; leave "
            "out --topology, which is for an objective of your own"
        )


def training_sentences(config: AsrTask.Config) -> list[list[str]]:
    """The words of each training transcript."""
    normalizer = config.normalizer.build()
    return [normalizer(text).split() for text in transcripts(open_splits(config.data.train, config))]


def _language_model(options: GraphOptions, spellings: Spellings, sentences: Sequence[Sequence[str]]) -> NGram:
    if options.arpa is not None:
        return arpa.read_arpa(options.arpa, word_names(spellings), spellings.vocabulary, unknown="skip")
    ids = [[spellings.ids.get(word, Tokenizer.unk_id) for word in sentence] for sentence in sentences]
    return estimate(ids, spellings.vocabulary, options.order, options.smoothing)


def unseen_words(config: AsrTask.Config, spellings: Spellings) -> dict[str, dict[str, int]]:
    """For the sets to validate and test on that are there: how many of their running words are not in the graph."""
    normalizer, counts = config.normalizer.build(), {}
    for name in dict.fromkeys([*config.data.valid, *config.data.test]):
        if manifest_path(name, config).exists():
            words = [word for text in transcripts(open_splits([name], config)) for word in normalizer(text).split()]
            counts[name] = {"unseen": sum(word not in spellings.ids for word in words), "words": len(words)}
    return counts


def _described(path: Path | None) -> dict[str, str] | None:
    return None if path is None else {"path": str(path), "sha256": sha256(path)}


def _text_sum(sentences: Sequence[Sequence[str]]) -> dict[str, Any]:
    text = "".join(" ".join(sentence) + "\n" for sentence in sentences)
    return {"sentences": len(sentences), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def report(facts: dict[str, Any]) -> list[str]:
    """Lines about a graph, for the screen."""
    sizes = ", ".join(f"{count} {length}-grams" for length, count in enumerate(facts["ngrams"], start=1))
    lines = [f"{facts['words']} words, {sizes}; {facts['states']['graph']} states, {facts['arcs']['graph']} arcs"]
    if facts["sources"]["missing"]:
        log.warn(f"{facts['sources']['missing']} words without a spelling are left out")
    for name, counts in facts["sources"]["unseen"].items():
        share = 100 * counts["unseen"] / max(1, counts["words"])
        lines.append(f"{name}: {counts['unseen']} of {counts['words']} words ({share:.2f} %) are not in the graph")
    return lines
