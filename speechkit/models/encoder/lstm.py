"""The LSTM encoder."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechkit.models.encoder.base import Encoder
from speechkit.nn.dropout import Dropout


class Lstm(Encoder, name="lstm"):
    """Subsampling and a stack of (bidirectional) LSTMs (Graves et al., 2013, arXiv 1303.5778; projection: Sak et al., 2014).

    Sequences are packed: the backward direction starts at each utterance's own last frame.
    """

    class Config(Encoder.Config):
        """Options of the LSTM encoder."""

        dim: int = Field(512, ge=1)
        """Cells per layer and direction; also the dimension of the subsampled input."""
        num_layers: int = Field(4, ge=1)
        """Layers."""
        bidirectional: bool = True
        """Also read each utterance from its end; D is then twice as large."""
        projection_dim: int = Field(0, ge=0)
        """Dimension that each layer's output is projected to, below dim; 0: no projection."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of the input and output of every layer."""

    def __init__(self, config: Config, in_dim: int) -> None:
        super().__init__(config, in_dim, config.dim)
        if config.projection_dim >= config.dim:
            raise ValueError(
                f"projection_dim: expected less than dim {config.dim}, got {config.projection_dim}; 0 means no projection"
            )
        self.dropout = Dropout(config.dropout)
        self.lstm = nn.LSTM(
            config.dim,
            config.dim,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
            proj_size=config.projection_dim,
        )
        self.out_dim = (config.projection_dim or config.dim) * (2 if config.bidirectional else 1)

    def encode(self, x: Tensor, lens: Tensor) -> Tensor:
        """Run the LSTMs over ``x`` (B, S, dim)."""
        # Packing knows no empty sequence: one of length 0 is read as one frame, which nobody looks at.
        packed = pack_padded_sequence(self.dropout(x), lens.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.dropout(out)
