"""The pruned transducer: a cheap joiner finds the region of the lattice in which the real one is computed."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from speechkit.config import Choice, ComponentConfig
from speechkit.data.batch import Targets
from speechkit.graphs.transducer import transducer_loss_and_occupancies
from speechkit.graphs.transducer_pruning import choose_cells, simple_log_probs
from speechkit.models.decoder.base import Decoder
from speechkit.models.decoder.transducer import Transducer
from speechkit.objectives.transducer import TransducerObjective
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.lens import padding_mask


class PrunedTransducerObjective(TransducerObjective, name="pruned_transducer"):
    """A transducer that computes where a simple joiner finds the paths: ``simple_scale * L_simple + pruned_scale *
    L_pruned`` (Kuang et al. 2022, arXiv:2206.13236).

    The simple joiner adds two linear projections to V logits. Its loss, over all cells, trains these projections and the
    encoder, and its occupancies say which ``prune_range`` positions of each frame the real joiner computes. The pruned loss
    sums over fewer paths than the full one and is never below it; where the range covers all positions they are equal.

    Warm-up runs over the optimizer steps that :meth:`at_step` tells of; as long as nobody tells, and in evaluation, the
    scales are the final ones.
    """

    class Config(TransducerObjective.Config):
        """Options of the pruned transducer."""

        prune_range: int = Field(5, ge=2)
        """Positions per frame that the joiner computes."""
        simple_scale: float = Field(0.5, ge=0.0)
        """Factor of the simple joiner's loss, after warm-up; 1 at its beginning."""
        pruned_scale: float = Field(1.0, ge=0.0)
        """Factor of the joiner's loss, after warm-up; a tenth of that at its beginning, when windows are still random."""
        warmup_steps: int = Field(500, ge=0)
        """Optimizer steps in which both factors go linearly from their first to their last value."""
        lm_only_scale: float = Field(0.25, ge=0.0, le=1.0)
        """Share of the predictor alone in the simple joiner's log-probabilities: smoothing."""
        am_only_scale: float = Field(0.0, ge=0.0, le=1.0)
        """Share of the encoder alone."""
        decoder: Choice[Decoder] = Transducer.Config(simple_joiner=True)
        """The network, with a simple joiner."""

        @field_validator("decoder")
        @classmethod
        def _has_simple_joiner(cls, decoder: ComponentConfig) -> ComponentConfig:
            if decoder.simple_joiner:
                return decoder
            if "simple_joiner" in decoder.model_fields_set:
                raise ValueError("simple_joiner: expected true, since it finds the region to compute, got false")
            return decoder.model_copy(update={"simple_joiner": True})

        @model_validator(mode="after")
        def _scales_leave_something(self) -> Any:
            if self.lm_only_scale + self.am_only_scale > 1:
                raise ValueError(
                    "lm_only_scale + am_only_scale: expected at most 1, got "
                    f"{self.lm_only_scale} + {self.am_only_scale}"
                )
            return self

    def __init__(self, config: Config, *, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary=vocabulary)
        self.step: int | None = None

    def at_step(self, step: int) -> None:
        """Hear the number of optimizer steps made so far, before the next one."""
        self.step = step

    def scales(self, training: bool) -> tuple[float, float]:
        """The present factors of the simple and of the pruned loss; ``training`` is whether a decoder is in training."""
        config = self.config
        done = 1.0
        if training and self.step is not None and self.step < config.warmup_steps:
            done = self.step / config.warmup_steps
        return 1 - done * (1 - config.simple_scale), config.pruned_scale * (0.1 + 0.9 * done)

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The scaled sum (B,) of both losses in nats; 0 where there is no path. Each as it is goes into ``parts``.

        Raises:
            UtteranceError: a transcript holds the blank or an id outside of the vocabulary.
        """
        self.check_tokens(targets)
        config, blank_id = self.config, self.vocabulary.blank_id
        predicted = decoder.predictor(targets.tokens, targets.token_lens)
        am, lm = decoder.simple_encoder_proj(encoder_out), decoder.simple_predictor_proj(predicted)
        tokens = targets.tokens.masked_fill(padding_mask(targets.token_lens, targets.tokens.shape[1]), blank_id)
        log_probs = simple_log_probs(
            am, lm, tokens, targets.token_lens, blank_id, config.lm_only_scale, config.am_only_scale
        )
        lens = encoder_out_lens, targets.token_lens
        simple, occupancies = transducer_loss_and_occupancies(
            *log_probs, *lens, config.topology, config.fastemit, config.kernel
        )
        chosen = choose_cells(occupancies, *lens, config.prune_range, config.topology)
        pruned = self._joint(decoder, encoder_out, predicted, encoder_out_lens, targets, chosen)
        simple_scale, pruned_scale = self.scales(decoder.training)
        alignable = self.alignable(encoder_out_lens, targets)
        self.parts = {"simple": simple.detach().where(alignable, 0.0), "pruned": pruned.detach().where(alignable, 0.0)}
        return (simple_scale * simple + pruned_scale * pruned).where(alignable, 0.0)
