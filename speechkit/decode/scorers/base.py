"""Scorers: language models, internal language models to subtract, hotwords. A beam search adds any number of them.

``score = log p_network + sum over scorers of scale * scorer's log-score + length_bonus * number of tokens``

Shallow fusion is one scorer with a positive scale; the density ratio method (McDermott et al. 2019, arXiv:2002.11268) a
second language model, of the training transcripts, with a negative one; LODR (Zheng et al. 2022, arXiv:2203.16776) the
same with a bigram; subtraction of the internal language model (Meng et al. 2020, arXiv:2011.01991) a scorer that asks
the network itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.files import find_file


class Scorer(Component, kind="scorer"):
    """Scores the next token of N hypotheses at once, each from what came before it.

    A search keeps one state for all of its hypotheses and calls, from the first frame or token to the last::

        state = scorer.start(decoders, batch_size)         # B empty hypotheses
        log_scores = scorer.score(state)                   # (N, V)
        state = scorer.advance(state, parents, tokens)     # M hypotheses, grown from those N

    Args:
        config: The options.
        vocabulary: The token ids.
        tokenizer: Of the model, for scorers whose options hold words.
        model_dir: Where the model lies; a relative path in the options that does not exist is looked for here.
    """

    class Config(ComponentConfig):
        """What all scorers share."""

        scale: float = 1.0
        """Factor of this scorer's log-scores in the search; negative to subtract."""

    def __init__(
        self, config: Config, *, vocabulary: Vocabulary, tokenizer: Tokenizer | None = None, model_dir: Path | None = None
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer
        self.model_dir = model_dir

    def find_file(self, path: Path, what: str = "a file", remedy: str = "check the path") -> Path:
        """A path of the options, as it is given or in the model's folder; see :func:`speechkit.utils.files.find_file`."""
        return find_file(path, self.model_dir, what, remedy)

    def start(self, decoders: Mapping[str, nn.Module], batch_size: int) -> Any:
        """The state of ``batch_size`` empty hypotheses.

        Args:
            decoders: The model's, by the name of their objective, for scorers that ask the network.
            batch_size: B.
        """
        raise NotImplementedError

    def score(self, state: Any) -> Tensor:
        """Log-scores (N, V) float32 in nats of each token as the next one of each hypothesis, not yet scaled.

        The column of ``eos_id`` is the score of ending there. Those of blank and of tokens that the scorer knows nothing
        of hold finite numbers that no search reads or minds (a language model gives unknown tokens its ``<unk>``).
        """
        raise NotImplementedError

    def advance(self, state: Any, parents: Tensor, tokens: Tensor) -> Any:
        """The state of M hypotheses.

        Args:
            state: Of N hypotheses; it is not changed.
            parents: (M,) int64, on any device, which of the N each one grows from; any order, any number of times.
            tokens: (M,) int64, the token each one gets; the blank for none, which copies the parent.
        """
        raise NotImplementedError
