"""Turn a corpus into manifests.

  speechkit prepare conf/ctc.yaml              the corpus of a config, downloaded if need be
  speechkit prepare yesno                      a corpus by its name
  speechkit prepare folder recordings/         your own recordings and transcripts
  speechkit prepare fsdd connected=true        with options; see `speechkit describe corpus fsdd`
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "turn a corpus, or a folder of recordings, into manifests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("corpus", help="name of a corpus, or a config (.yaml) with a corpus block")
    parser.add_argument("overrides", nargs="*", metavar="DIR|key=value", help="where the corpus is; options")
    parser.add_argument("--config", help="take the corpus block of this config; key=value then change the config")
    parser.add_argument("--to", help="folder for the manifests (default: data.root of the config, or data)")
    parser.add_argument("--downloads", default="downloads", help="where downloaded corpora are kept (default: downloads)")
    parser.add_argument("--download-only", action="store_true", help="stop when the corpus is on this disk")


def run(args: argparse.Namespace) -> None:
    """Download or find the corpus, prepare it, write one manifest per split."""
    overrides = [arg for arg in args.overrides if "=" in arg or arg.endswith(".yaml")]
    folders = [arg for arg in args.overrides if arg not in overrides]
    config, root = _corpus_config(args, overrides)
    corpus = config.build()
    if len(folders) > 1:
        raise ValueError(f"expected one folder, got {', '.join(folders)}")

    from speechkit.data.corpora.base import find_or_download
    from speechkit.tasks.manifests import folder_name

    folder = Path(folders[0]) if folders else find_or_download(corpus, Path(args.downloads) / config.name)
    if args.download_only:
        print(f"{config.name} is in {folder}")
        return
    target = Path(args.to or root) / folder_name(config)
    if folders:
        _keep_other_manifests(target, folder.absolute())
    _write(corpus, folder, target)


def _corpus_config(args: argparse.Namespace, overrides: list[str]) -> tuple[Any, str]:
    from speechkit import config as configs
    from speechkit.tasks.asr import Corpus
    from speechkit.tasks.base import load_config

    path = args.corpus if args.corpus.endswith((".yaml", ".yml")) else args.config
    if path is None:
        raw = {"corpus": {"name": args.corpus, **configs.parse_overrides(overrides)}}
        holder = type("Prepare", (configs.Config,), {"__annotations__": {"corpus": configs.Choice[Corpus]}})
        return configs.validate(holder, raw, source="prepare").corpus, "data"
    experiment = load_config(path, overrides)
    if experiment.corpus is None:
        raise ValueError(f"{path}: corpus: expected a block that names the corpus, got none")
    if args.config and experiment.corpus.name != args.corpus:
        raise ValueError(f"{path}: corpus.name: expected {args.corpus}, got {experiment.corpus.name}")
    return experiment.corpus, experiment.data.root


def _write(corpus: Any, folder: Path, target: Path) -> None:
    from speechkit.data.cuts import write_cuts
    from speechkit.data.summary import summarize
    from speechkit.utils.files import atomic_write

    splits = corpus.prepare(folder)
    for name, cuts in splits.items():
        write_cuts(cuts, target / f"{name}.jsonl.gz")
    with atomic_write(target / "made_from.txt") as file:
        file.write(f"{folder.absolute()}\n")
    report = getattr(corpus, "report", None) or summarize(splits)
    report.write(target)
    report.render()
    print(f"manifests: {target}")


def _keep_other_manifests(target: Path, folder: Path) -> None:
    """Refuse to replace the manifests of other recordings: somebody may be training on them."""
    note = target / "made_from.txt"
    before = Path(note.read_text(encoding="utf-8").strip()) if note.exists() else folder
    if before != folder and before.exists():
        raise ValueError(
            f"{target}: expected manifests of {folder} or none, got those of {before}; delete them, or choose another place "
            "with --to (data.root=... of the config)"
        )
