"""Language models that are networks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.decode.scorers.stepwise import StepwiseScorer
from speechkit.models.lm.base import LanguageModel, load_language_model
from speechkit.models.predictor.base import State as Memory


class NeuralLmScorer(StepwiseScorer, name="lm"):
    """Log-probabilities of a language model that ``speechkit train`` made, over the recogniser's own tokens."""

    class Config(StepwiseScorer.Config):
        """Options of neural language models."""

        model: Path
        """Experiment of the language model, after `speechkit average`; as given, or in the recogniser's model folder."""
        temperature: float = Field(1.0, gt=0)
        """What logits are divided by; above 1 the distribution becomes flatter."""

    def __init__(self, config: Config, **facts: Any) -> None:
        super().__init__(config, **facts)
        if self.tokenizer is None:
            raise ValueError("lm scorer: expected the recogniser's tokenizer, to compare the tokens with, got none")
        make = f"train a language model (task: lm) with --exp {config.model}, then `speechkit average {config.model}`"
        folder = self.find_file(config.model, "a model directory", make)
        self.lm, tokenizer = load_language_model(folder)
        ours = self.tokenizer.tokens
        for number, (own, its) in enumerate(itertools.zip_longest(ours, tokenizer.tokens)):
            if own != its:
                raise ValueError(
                    f"{folder}: expected a language model over the recogniser's {len(ours)} tokens, got another token {number}: "
                    f"{_shown(its)} instead of {_shown(own)}; train it with tokenizer_from: this recogniser"
                )

    def network(self, decoders: Mapping[str, nn.Module]) -> Tempered:
        """The language model, moved to where the decoders are."""
        device = next((p.device for each in decoders.values() for p in each.parameters()), torch.device("cpu"))
        return Tempered(self.lm.to(device), self.config.temperature)


def _shown(token: str | None) -> str:
    return "none" if token is None else repr(token)


class Tempered:
    """``softmax(logits / temperature)`` of a language model, as a :class:`StepNetwork`."""

    def __init__(self, lm: LanguageModel, temperature: float) -> None:
        self.lm, self.temperature = lm, temperature

    def start(self, batch_size: int) -> tuple[Tensor, Memory]:
        """Read the start symbol of each sentence."""
        memory = self.lm.start(batch_size)
        return self.step(torch.full((batch_size,), self.lm.vocabulary.sos_id, device=memory[0].device), memory)

    def step(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Read one more token of each sentence."""
        log_probs, memory = self.lm.step(tokens, memory)
        return (log_probs / self.temperature).log_softmax(-1).float(), memory

    def select(self, memory: Memory, rows: Tensor) -> Memory:
        """Some of the sentences."""
        return self.lm.select(memory, rows)

    def concat(self, memories: Sequence[Memory]) -> Memory:
        """The sentences of several memories."""
        return self.lm.concat(memories)
