"""Language modelling: joins texts, a tokenizer (that of a recogniser, for fusion with it) and a network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from speechkit import config as configs
from speechkit.config import Choice
from speechkit.data.corpora.base import Corpus
from speechkit.data.text import TokenizedText, read_sentences
from speechkit.data.text_batches import TextBatch, TextBatches
from speechkit.models.lm.base import LanguageModel, load_language_model
from speechkit.models.lm.lstm import Lstm
from speechkit.tasks import asr
from speechkit.tasks.base import Task, load_config
from speechkit.tasks.texts import TextDataConfig, text_facts, text_path, tokenized
from speechkit.text.normalizer import NoNormalizer, Normalizer
from speechkit.text.tokenizer import Tokenizer
from speechkit.train.task import Losses
from speechkit.train.trainer import pick_device
from speechkit.utils import dist, log
from speechkit.utils.files import atomic_write


class LmTask(Task, name="lm"):
    """Language modelling: a neural language model in training.

    Args:
        config: The experiment.
        tokenizer: Fitted.
        tokenizer_dir: Where it is saved.
        device: Where the network is.
    """

    class Config(Task.Config):
        """A language model."""

        corpus: Choice[Corpus] | None = None
        """The corpus that `speechkit prepare` makes manifests of; null if all texts are given by path."""
        data: TextDataConfig = TextDataConfig()
        """Texts and batches."""
        normalizer: Choice[Normalizer] = NoNormalizer.Config()
        """What is done to sentences before they become tokens."""
        tokenizer: Choice[Tokenizer] | None = None
        """Text to tokens, fitted on the training texts; null with tokenizer_from."""
        tokenizer_from: str | None = None
        """Take the tokenizer of a recogniser, which fusion with it needs: its experiment (exp/ctc), its config before it is
        trained (conf/ctc.yaml), or the folder of a saved tokenizer."""
        lm: Choice[LanguageModel] = Lstm.Config()
        """The network."""

        def model_post_init(self, context: Any) -> None:
            """There is one tokenizer."""
            if (self.tokenizer is None) == (self.tokenizer_from is None):
                got = "neither" if self.tokenizer is None else "both"
                raise ValueError(f"tokenizer: expected either tokenizer or tokenizer_from, got {got}")

    metrics = ("loss", "perplexity")

    def __init__(self, config: Config, tokenizer: Tokenizer, tokenizer_dir: Path, device: torch.device) -> None:
        self.config, self.tokenizer, self.tokenizer_dir, self.device = config, tokenizer, tokenizer_dir, device
        torch.manual_seed(config.seed)  # initial weights are the same on all ranks
        self.model = config.lm.build(vocabulary=tokenizer.vocabulary).to(device)
        self.networks, self.weights = {"model": self.model}, {"lm": 1.0}
        self.valid_batches: TextBatches | None = None

    @classmethod
    def training_data(cls, config: Config) -> dict[str, Any]:
        """Fingerprints of the texts; see :meth:`Task.training_data`."""
        return text_facts(config)

    @classmethod
    def prepare(cls, config: Config, exp_dir: Path, resuming: bool) -> None:
        """Get the tokenizer, and tokenize; see :meth:`Task.prepare`."""
        folder = exp_dir / "tokenizer"
        if not resuming:
            get_tokenizer(config).save(folder)
        for name in [*config.data.train, *config.data.valid]:
            tokenized(name, config, folder)

    @classmethod
    def restore(cls, config: Config, exp_dir: Path, device: torch.device) -> LmTask:
        """The task with its tokenizer."""
        return cls(config, Tokenizer.load(exp_dir / "tokenizer"), exp_dir / "tokenizer", device)

    def texts(self, names: Iterable[str]) -> list[TokenizedText]:
        """The tokens of some texts."""
        return [tokenized(name, self.config, self.tokenizer_dir) for name in names]

    # --- the trainer's view ---------------------------------------------------------------------------------------

    def batches(self) -> TextBatches:
        """The training batches of this rank."""
        data, ranks = self.config.data, {"rank": dist.rank(), "world_size": dist.world_size()}
        batches = TextBatches(self.texts(data.train), data.sampler, shuffle=True, seed=self.config.seed, **ranks)
        if batches.left_out and dist.is_main():
            log.warn(f"{batches.left_out} sentences of more than {data.sampler.max_tokens} tokens are left out of training")
        return batches

    def losses(self, batch: TextBatch) -> Iterator[tuple[str, Losses]]:
        """Yield the network with the nats of every sentence, its end included."""
        yield "model", {"lm": self.model.nats(batch.tokens, batch.token_lens)}

    def validate(self) -> dict[str, float]:
        """Loss in nats per sentence, and perplexity per token, with the end of each sentence as a token."""
        if self.valid_batches is None:
            self.valid_batches = all_sentences(self.texts(self.config.data.valid), self.config)
        measured = measure(self.model, self.valid_batches, self.device)
        return {"loss": measured.nats / measured.sentences, "perplexity": measured.perplexity}

    def take_notes(self) -> list[dict[str, Any]]:
        """Nothing: sentences that cannot be used are found before training."""
        return []


def get_tokenizer(config: LmTask.Config) -> Tokenizer:
    """The tokenizer of a config: that of a recogniser, or one fitted on the training texts.

    Raises:
        ValueError: ``tokenizer_from`` names nothing that has a tokenizer.
    """
    normalizer = config.normalizer.build()
    if config.tokenizer_from is None:
        tokenizer = config.tokenizer.build()
        paths = [text_path(name, config) for name in config.data.train]
        tokenizer.fit(normalizer(sentence) for path in paths for _, sentence in read_sentences(path))
        return tokenizer
    source = Path(config.tokenizer_from)
    if source.suffix in (".yaml", ".yml"):
        _compare_normalizers(config, source)
        return asr.get_tokenizer(load_config(source, task="asr"))
    folders = [folder for folder in (source / "tokenizer", source) if (folder / "tokenizer.yaml").exists()]
    if not folders:
        raise ValueError(
            f"tokenizer_from: {source}: expected an experiment, a config (.yaml) or a saved tokenizer, got "
            f"{'a folder without tokenizer.yaml' if source.is_dir() else 'nothing there'}; train the recogniser first, or take "
            "its config"
        )
    if (source / "config.yaml").exists():
        _compare_normalizers(config, source / "config.yaml")
    return Tokenizer.load(folders[0])


def _compare_normalizers(config: LmTask.Config, path: Path) -> None:
    """Fusion needs sentences in the recogniser's spelling, which its normalizer makes; another one may make it, too."""
    theirs = load_config(path, task="asr").normalizer
    if theirs != config.normalizer:
        lines = "; ".join(configs.differences(theirs, config.normalizer))
        log.warn(f"normalizer: not that of {path} ({lines}); fusion needs the same spelling")


# --- perplexity ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """How well a network predicts a text."""

    sentences: int
    tokens: int
    """Predicted ones: those of the sentences, and the end of each."""
    nats: float
    """``-log p`` of the whole text."""

    @property
    def perplexity(self) -> float:
        """Per token; infinite where a float cannot hold it."""
        return _exp(self.nats / self.tokens)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def all_sentences(texts: list[TokenizedText], config: LmTask.Config) -> TextBatches:
    """Batches of every sentence in a fixed order: no limit, and room for the longest."""
    sampler = config.data.sampler
    room = max(sampler.batch_tokens, 1 + max(int(text.lens.max()) for text in texts))
    return TextBatches(texts, sampler.model_copy(update={"max_tokens": None, "batch_tokens": room}))


@torch.inference_mode()
def measure(network: LanguageModel, batches: TextBatches, device: torch.device) -> Measured:
    """Add up the nats of all sentences."""
    sentences, tokens, nats = 0, 0, 0.0
    for batch in batches.epoch(0):
        batch = batch.to(device)
        nats += network.nats(batch.tokens, batch.token_lens).double().sum().item()
        sentences, tokens = sentences + len(batch), tokens + int(batch.amounts["tokens"])
    return Measured(sentences, tokens, nats)


def score_texts(exp_dir: Path, device: str = "auto") -> dict[str, dict[str, float]]:
    """The perplexity of the averaged model on every text of ``data.test``; also written to ``perplexity.json``.

    Returns:
        By text the numbers of ``sentences``, ``tokens`` (ends included), ``words`` (what spaces part) and ``nats``, and the
        perplexities ``per_token`` and ``per_word``; the latter counts ends as words, and compares models of other tokens.
    """
    config, where = load_config(exp_dir / "config.yaml", task="lm"), pick_device(device)
    network, tokenizer = load_language_model(exp_dir)
    network.to(where)
    found = {}
    for name in config.data.test:
        text = tokenized(name, config, exp_dir / "tokenizer")
        measured = measure(network, all_sentences([text], config), where)
        words = sum(len(tokenizer.decode(text[i].tolist()).split()) for i in range(len(text)))
        rates = {"per_token": measured.perplexity, "per_word": _exp(measured.nats / (words + measured.sentences))}
        found[name] = {**asdict(measured), "words": words, **rates}
    with atomic_write(exp_dir / "perplexity.json") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    return found
