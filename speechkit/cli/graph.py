"""Make a decoding graph: a lexicon and an n-gram language model, composed with the topology of CTC (TLG) or HMMs (HLG).

  speechkit graph conf/ctc.yaml --to exp/ctc/graph           a 3-gram of the training transcripts
  speechkit graph exp/ctc --order 4                          for a trained model, into exp/ctc/graph
  speechkit graph exp/ctc --arpa lm.arpa.gz --missing drop   with a language model of your own
  speechkit decode exp/ctc search=wfst search.graph=graph    decode with it
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make a decoding graph of a lexicon and a language model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("source", metavar="CONF|MODEL", help="experiment config (.yaml), or model directory")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config, or .yaml files of them")
    parser.add_argument("--to", metavar="DIR", help="folder of the graph (default: `graph`, by the manifests or in the model)")
    parser.add_argument("--arpa", metavar="FILE", type=Path, help="a language model over words to take as it is")
    parser.add_argument("--order", type=int, default=3, help="of the model estimated on the training transcripts (default: 3)")
    parser.add_argument("--smoothing", choices=["kneser_ney", "witten_bell"], default="kneser_ney")
    parser.add_argument("--lexicon", metavar="FILE", type=Path, help="words and their tokens; default: as the tokenizer spells")
    parser.add_argument("--missing", choices=["error", "drop"], default="error", help="words that have no spelling")
    parser.add_argument("--topology", choices=["ctc", "hmm"], default="ctc", help="hmm has no blank (default: ctc)")


def run(args: argparse.Namespace) -> None:
    """Build the graph and say how big it is, and what it lacks."""
    from speechkit.tasks import graph
    from speechkit.tasks.asr import get_tokenizer
    from speechkit.tasks.base import load_config
    from speechkit.tasks.manifests import manifest_dir
    from speechkit.text.tokenizer import Tokenizer

    source = Path(args.source)
    if source.is_dir():
        config = load_config(source / "config.yaml", args.overrides, task="asr")
        tokenizer, folder = Tokenizer.load(source / "tokenizer"), source / "graph"
    else:
        config = load_config(source, args.overrides, task="asr")
        tokenizer, folder = get_tokenizer(config), manifest_dir(config) / "graph"
    folder = Path(args.to) if args.to else folder
    options = {name: getattr(args, name) for name in graph.GraphOptions.__dataclass_fields__}
    facts = graph.build_graph(config, tokenizer, graph.GraphOptions(**options), folder)
    print(folder, *graph.report(facts), sep="\n  ")
