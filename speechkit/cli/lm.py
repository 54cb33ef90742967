"""Estimate an n-gram language model of the training transcripts or other texts, as an ARPA file.
Neural language models are trained: `speechkit train` with `task: lm`.

  speechkit lm exp/ctc --to exp/ctc/3gram.arpa                      over the model's tokens, for the scorer `ngram`
  speechkit lm exp/ctc --order 2 --to exp/ctc/source.arpa           to subtract (density ratio, LODR)
  speechkit lm conf/ctc.yaml --unit word --order 4 --text books.txt.gz --prune 1e-8 --to data/4gram.arpa.gz
                                                                    over words, for `speechkit graph --arpa`
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "estimate an n-gram language model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("source", metavar="CONF|MODEL", help="experiment config (.yaml), or model directory")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config, or .yaml files of them")
    parser.add_argument("--to", metavar="FILE", type=Path, required=True, help="ARPA file to write, packed if it ends in .gz")
    parser.add_argument("--order", type=int, default=3, help="n of the longest n-grams (default: 3)")
    parser.add_argument("--unit", choices=["token", "word"], default="token", help="what is counted (default: token)")
    parser.add_argument(
        "--smoothing",
        choices=["kneser_ney", "witten_bell"],
        help="default: kneser_ney for words, witten_bell for tokens, of which there are few",
    )
    parser.add_argument("--min-counts", metavar="N,N,...", default="", help="least count of 1-grams, 2-grams, ... to be kept")
    parser.add_argument("--prune", type=float, default=0.0, help="drop n-grams that change the perplexity by less, as a share")
    parser.add_argument(
        "--text", action="append", default=[], help="split, manifest, .txt or .gz; repeat for several (default: data.train)"
    )


def run(args: argparse.Namespace) -> None:
    """Estimate, write, and say how large the model is and what it makes of the validation transcripts."""
    from speechkit.tasks.asr import get_tokenizer
    from speechkit.tasks.base import load_config
    from speechkit.tasks.ngram import NGramOptions, make_ngram
    from speechkit.text.tokenizer import Tokenizer

    source = Path(args.source)
    config = load_config(source / "config.yaml" if source.is_dir() else source, args.overrides, task="asr")
    tokenizer = Tokenizer.load(source / "tokenizer") if source.is_dir() else get_tokenizer(config)
    smoothing = args.smoothing or ("kneser_ney" if args.unit == "word" else "witten_bell")
    counts = _counts(args.min_counts)
    options = NGramOptions(args.order, args.unit, smoothing, counts, args.prune, tuple(args.text))
    facts = make_ngram(config, tokenizer, options, args.to)
    sizes = ", ".join(f"{size} {length}-grams" for length, size in enumerate(facts["ngrams"], start=1))
    print(f"{args.to}: {sizes}")
    for name, perplexity in facts["perplexity"].items():
        print(f"{name}: perplexity {perplexity:.2f} per {args.unit}")


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(count) for count in text.split(",") if count)
    except ValueError:
        raise ValueError(f"--min-counts: expected whole numbers with commas between them, got {text!r}") from None
