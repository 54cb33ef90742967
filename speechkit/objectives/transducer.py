"""Transducers: the likelihood of a transcript summed over all its alignments, each token predicted from those before it."""

from __future__ import annotations

from pydantic import Field, field_validator
from torch import Tensor, nn

from speechkit.config import Choice, ComponentConfig
from speechkit.data.batch import Targets
from speechkit.graphs.aligner import Alignment, align_monotonic, align_transducer, utterances
from speechkit.graphs.kernels import Kernel
from speechkit.graphs.transducer import Topology, has_path, labels_stay
from speechkit.graphs.transducer_joint import JointOptions, joint_log_probs, joint_loss
from speechkit.models.decoder.base import Decoder
from speechkit.models.decoder.transducer import Transducer
from speechkit.objectives.base import Objective


class TransducerObjective(Objective, name="transducer"):
    """``-log sum over paths of prod p(symbol | frame, tokens so far)`` (Graves 2012, arXiv:1211.3711, equations 12 to 18).

    A path goes through the frames and emits a token or the blank at each move; the ``topology`` says whether a token
    leaves it in its frame. The joiner, the softmax, the lattice and their gradients are one operation, which goes over
    the cells (frame, tokens so far) chunk by chunk and holds the logits of one chunk at a time.
    """

    class Config(Objective.Config):
        """Options of the transducer."""

        topology: Topology = "regular"
        """Any number of tokens in a frame (regular, RNN-T), or exactly one symbol, token or blank (monotonic, also called
        RNA and monotonic RNN-T; modified is the name of the same in k2), which needs as many frames as tokens."""
        fastemit: float = Field(0.0, ge=0.0)
        """Lambda of FastEmit: multiplies the gradient of tokens by 1 + lambda, to emit them early; 0.001 to 0.01 for
        streaming. The reported loss is the one without it (NeMo reports 1 + lambda times as much)."""
        joiner_chunk: int | None = Field(None, ge=1)
        """Cells computed at a time. Memory grows with it: hidden vectors and logits, cells * (J + V) numbers, several
        times. Null: about 500,000 logits on a CPU, which stay in its cache, and 67 million on a GPU."""
        joiner_cache: float = Field(256.0, ge=0.0)
        """MiB of log-probabilities to keep from the forward to the backward pass, which computes the rest once more. With 0
        memory is bounded by the chunk alone, at the price of up to a third more time."""
        neglect: float | None = Field(None, ge=0.0, lt=1.0)
        """Occupancy (expected number of paths) that may be left out of the gradient, in sum over the least passed cells of any
        frame or of any position. Null: 2^-24, which is lost in float32 rounding anyway, and typically more than half of the
        cells; 0 leaves out none."""
        kernel: Kernel = "auto"
        """What computes the lattice: numba on a CPU, triton on a GPU, torch anywhere; they give the same numbers."""
        decoder: Choice[Decoder] = Transducer.Config()
        """The network: a predictor, and a joiner of its output and the encoder's."""

        def check_search(self, search: ComponentConfig) -> None:
            """Where a frame has one symbol, a search may not look for more."""
            limit = getattr(search, "max_symbols_per_frame", 1)
            if not labels_stay(self.topology) and limit != 1:
                raise ValueError(
                    f"max_symbols_per_frame: expected 1, since topology {self.topology} gives each frame one symbol, got {limit}"
                )

        @field_validator("decoder")
        @classmethod
        def _is_transducer(cls, decoder: ComponentConfig) -> ComponentConfig:
            if isinstance(decoder, Transducer.Config):
                return decoder
            raise ValueError(f"expected a transducer, with predictor and joiner, got {decoder.name!r}")

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder is); 0 where there is no path.

        Raises:
            UtteranceError: a transcript holds the blank or an id outside of the vocabulary.
        """
        self.check_tokens(targets)
        predicted = decoder.predictor(targets.tokens, targets.token_lens)
        losses = self._joint(decoder, encoder_out, predicted, encoder_out_lens, targets)
        return losses.where(self.alignable(encoder_out_lens, targets), 0.0)

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: whether the frames suffice, one for all tokens (regular), or one for each (monotonic).

        No tokens in no frames have one path, the empty one, whose loss is 0.
        """
        return has_path(encoder_out_lens, targets.token_lens, self.config.topology)

    def align(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> list[Alignment]:
        """The likeliest path of each transcript; see :meth:`Objective.align`."""
        self.check_tokens(targets)
        predicted = decoder.predictor(targets.tokens, targets.token_lens)
        arguments = self._arguments(decoder, encoder_out, predicted, encoder_out_lens, targets)
        blank, label = (utterances(each, encoder_out_lens) for each in joint_log_probs(*arguments, self._options()))
        find = align_transducer if labels_stay(self.config.topology) else align_monotonic
        lens = targets.token_lens.tolist()
        return [find(b[:, : u + 1], y[:, :u]) for b, y, u in zip(blank, label, lens, strict=True)]

    def _joint(
        self, decoder: nn.Module, encoder_out: Tensor, predicted: Tensor, encoder_out_lens: Tensor, targets: Targets,
        chosen: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """The loss of the joiner, ``+inf`` without a path; ``predicted`` is (B, U + 1, P)."""
        arguments = self._arguments(decoder, encoder_out, predicted, encoder_out_lens, targets)
        return joint_loss(*arguments, self._options(), chosen)

    def _arguments(
        self, decoder: nn.Module, encoder_out: Tensor, predicted: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> tuple:
        joiner = decoder.joiner
        projected = joiner.encoder_proj(encoder_out), joiner.predictor_proj(predicted)
        lens = encoder_out_lens, targets.token_lens
        return *projected, joiner.out.weight, joiner.out.bias, targets.tokens, *lens, self.vocabulary.blank_id

    def _options(self) -> JointOptions:
        config = self.config
        return JointOptions(
            config.topology, config.fastemit, config.joiner_chunk, config.joiner_cache, config.neglect, config.kernel
        )
