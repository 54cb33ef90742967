"""What language models are: in training all tokens of a sentence at once, in a search one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit import config as configs
from speechkit.config import Choice, Component, ComponentConfig, ConfigError
from speechkit.models.predictor.base import Predictor, State
from speechkit.nn.linear import Linear
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.lens import padding_mask
from speechkit.utils.model_dir import check_model_dir, load_weights


class LanguageModel(nn.Module, Component, kind="lm"):
    """``p(y_1 ... y_U, eos) = prod_u p(y_u | sos, y_1 ... y_{u-1})``: a network that reads the tokens so far, and a softmax.

    The network is one that can also be a transducer's predictor; a subclass names it and mixes its options into the own.

    Args:
        config: The options.
        vocabulary: The token ids. The blank has a probability as well, which training makes vanish.
    """

    class Config(ComponentConfig):
        """What all language models share."""

        tie_embeddings: bool = True
        """Score tokens by the matrix that embeds them (Press and Wolf, 2017, arXiv 1608.05859)."""

    Network: ClassVar[type[Predictor]]

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.network = self.Network(config, vocabulary)
        self.tied = config.tie_embeddings
        if self.tied:
            self.bias = nn.Parameter(torch.zeros(vocabulary.size))
            nn.init.normal_(self.network.embedding.weight, std=self.network.out_dim**-0.5)  # scores of the order of 1
        else:
            self.out = Linear(self.network.out_dim, vocabulary.size)

    def forward(self, tokens_in: Tensor, lens: Tensor) -> Tensor:
        """Score every token after those before it.

        Args:
            tokens_in: (B, U + 1) int64, each row beginning with ``sos_id``; what stands in the padding does not matter.
            lens: (B,) tokens per row, ``sos_id`` included.

        Returns:
            ``logits`` (B, U + 1, V): row u is about the token that follows the first u + 1 of ``tokens_in``.
        """
        padding = padding_mask(lens, tokens_in.shape[1])
        return self._logits(self.network.predict(tokens_in.masked_fill(padding, self.vocabulary.sos_id)))

    def nats(self, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """``-log p(tokens, eos)`` of each sentence.

        Args:
            tokens: (B, U) int64, padded with anything.
            token_lens: (B,).

        Returns:
            (B,) nats, at least float32: sums over ``token_lens + 1`` predictions, that of the end included.
        """
        padding = padding_mask(token_lens, tokens.shape[1])
        tokens = tokens.masked_fill(padding, self.vocabulary.eos_id)
        logits = self(F.pad(tokens, (1, 0), value=self.vocabulary.sos_id), token_lens + 1)
        expected = F.pad(tokens, (0, 1), value=self.vocabulary.eos_id)
        nats = F.cross_entropy(_at_least_float32(logits).flatten(0, 1), expected.flatten(), reduction="none")
        return nats.view(expected.shape).masked_fill(F.pad(padding, (1, 0), value=False), 0.0).sum(1)

    def start(self, batch_size: int) -> State:
        """The state of ``batch_size`` sentences of which nothing was read yet, not even ``sos_id``."""
        return self.network.initial(batch_size)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more token of each of N sentences, which may be of different length.

        Args:
            tokens: (N,) int64; ``sos_id`` first.
            state: Of the N sentences; it is not changed.

        Returns:
            ``log_probs`` (N, V) of the next token, in nats, at least float32; and the state after ``tokens``.
        """
        out, state = self.network.step(tokens, state)
        return _at_least_float32(self._logits(out)).log_softmax(-1), state

    def select(self, state: State, rows: Tensor) -> State:
        """The state of the sentences ``rows`` (M,) int64, in that order, any of them any number of times."""
        return self.network.select(state, rows)

    def concat(self, states: Sequence[State]) -> State:
        """One state of the sentences of several, one after the other."""
        return self.network.concat(states)

    def _logits(self, out: Tensor) -> Tensor:
        return F.linear(out, self.network.embedding.weight, self.bias) if self.tied else self.out(out)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


class _Saved(configs.Config):
    lm: Choice[LanguageModel]


def load_language_model(model_dir: Path) -> tuple[LanguageModel, Tokenizer]:
    """Read a finished language model, after comparing it with its checksums.

    Returns:
        The network in evaluation mode, on the CPU, and the tokenizer of its tokens.

    Raises:
        ValueError: It is no finished language model, or a file is missing, altered or unreadable; the message names it.
    """
    check_model_dir(model_dir)
    path = model_dir / "config.yaml"
    raw = configs.read_yaml(path)
    if "lm" not in raw:
        raise ConfigError(f"{path}: expected the experiment of a language model (task: lm), got task: {raw.get('task')}")
    tokenizer = Tokenizer.load(model_dir / "tokenizer")
    network = configs.validate(_Saved, {"lm": raw["lm"]}, str(path)).lm.build(vocabulary=tokenizer.vocabulary)
    network.load_state_dict(load_weights(model_dir / "averaged.safetensors"))
    return network.eval(), tokenizer
