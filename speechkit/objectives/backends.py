"""Other people's kernels, each optional: k2, torchaudio, warp_rnnt, fast_rnnt. Nothing here needs any of them.

They take the place of the functions of the same names in :mod:`speechkit.graphs`, to compare with or because somebody
has a reason to prefer them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

CtcLoss = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
"""``(log_probs, tokens, frame_lens, token_lens, blank_id) -> (B,)``, see :func:`speechkit.graphs.ctc.ctc_loss`."""

REMEDIES = {
    "k2": "run tools/install_k2.sh, which finds the wheel for this PyTorch",
    "torchaudio": "run `pip install 'speechkit[torchaudio]'`; its version must be that of PyTorch",
    "warp_rnnt": "run `pip install warp_rnnt`, which compiles CUDA code for the PyTorch installed",
    "fast_rnnt": "run `pip install fast_rnnt`, which compiles C++ code for the PyTorch installed",
}
"""The packages, and how to get each of them."""

TRANSDUCER_BACKENDS = ("k2", "torchaudio", "warp_rnnt", "fast_rnnt")


def load(name: str) -> ModuleType:
    """Import a package.

    Raises:
        ValueError: It is missing or broken; the message says why, and what to do.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # what a wheel for another PyTorch raises depends on where it fails
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name}: cannot be imported ({reason}); {REMEDIES[name]}, or do without it") from error


def importable() -> dict[str, str]:
    """Each package's version, or the reason why it cannot be used."""
    found = {}
    for name in REMEDIES:
        try:
            found[name] = str(getattr(load(name), "__version__", "installed"))
        except ValueError as error:
            found[name] = str(error)
    return found


def k2_ctc_loss(log_probs: Tensor, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int = 0) -> Tensor:
    """``k2.ctc_loss`` with the arguments and the result of :func:`speechkit.graphs.ctc.ctc_loss`; float32 inside.

    Raises:
        ValueError: k2 cannot be imported.
    """
    k2 = load("k2")
    possible = frame_lens > 0
    if not possible.all():  # k2 wants a frame of everybody
        nats = torch.where(token_lens == 0, 0.0, torch.inf).to(log_probs)
        rest = k2_ctc_loss(log_probs[possible], tokens[possible], frame_lens[possible], token_lens[possible], blank_id)
        return nats.index_put((possible.nonzero().squeeze(1),), rest) if possible.any() else nats
    # k2's blank is 0: bring its column there, and move those before it up.
    order = torch.arange(log_probs.shape[2], device=log_probs.device)
    order = torch.cat([order[blank_id : blank_id + 1], order[:blank_id], order[blank_id + 1 :]])
    labels = [[token + (token < blank_id) for token in row[:n]] for row, n in zip(tokens.tolist(), token_lens.tolist())]
    # k2 wants the longest first.
    rank = frame_lens.cpu().argsort(descending=True, stable=True)
    segments = torch.stack([rank, torch.zeros_like(rank), frame_lens.cpu()[rank]], dim=1).int()
    emissions = k2.DenseFsaVec(log_probs.float()[:, :, order].contiguous(), segments)
    graph = k2.ctc_graph([labels[b] for b in rank.tolist()], modified=False, device=log_probs.device)
    nats = k2.ctc_loss(graph, emissions, output_beam=1e9, reduction="none", use_double_scores=True)
    return nats[rank.argsort().to(nats.device)].to(log_probs.dtype)


def transducer_loss(
    backend: str, blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, topology: str = "regular"
) -> Tensor:
    """A package's transducer loss with the arguments and the result of :func:`speechkit.graphs.transducer.transducer_loss`.

    The lattice of two scores per cell is handed to packages that want the whole vocabulary as one of two symbols.

    Args:
        backend: One of ``TRANSDUCER_BACKENDS``.
        blank: (B, S, U + 1) log-probability of the blank.
        label: (B, S, U) log-probability of the next token.
        frame_lens: (B,) int64, at least 1.
        token_lens: (B,) int64.
        topology: ``regular``; k2 and fast_rnnt also have ``modified`` (at most one token per frame).

    Raises:
        ValueError: The package cannot be imported, or lacks the topology.
    """
    if topology != "regular" and backend not in ("k2", "fast_rnnt"):
        raise ValueError(f"{backend}: expected topology regular, the only one that it has, got {topology}; take k2 or fast_rnnt")
    package = load(backend)
    if backend in ("k2", "fast_rnnt"):
        return _mutual_information(package, blank, label, frame_lens, token_lens, topology == "regular")
    # Two symbols: 0 is the blank, 1 the token, whichever it is. Both packages refuse padding that all utterances have.
    longest, most = int(frame_lens.max()), int(token_lens.max())
    log_probs = torch.stack([blank, F.pad(label, (0, 1), value=-1e30)], dim=-1)[:, :longest, : most + 1].float().contiguous()
    ones = torch.ones(len(label), most, dtype=torch.int32, device=label.device)
    facts = ones, frame_lens.int(), token_lens.int()
    if backend == "warp_rnnt":
        return package.rnnt_loss(log_probs, *facts, reduction="none", blank=0).to(blank.dtype)
    functional = importlib.import_module("torchaudio.functional")
    nats = functional.rnnt_loss(log_probs, *facts, blank=0, clamp=-1, reduction="none", fused_log_softmax=False)
    return nats.to(blank.dtype)


def _mutual_information(
    package: ModuleType, blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, regular: bool
) -> Tensor:
    """Of k2 and fast_rnnt, which have tokens before frames; a token that takes no frame may not come after the last one."""
    px, py = label.transpose(1, 2), blank.transpose(1, 2)
    if regular:
        px = F.pad(px, (0, 1), value=-torch.inf)
        after = torch.arange(px.shape[2], device=px.device) >= frame_lens[:, None, None]
        px = px.masked_fill(after, -torch.inf)
    start = torch.zeros_like(frame_lens)
    boundary = torch.stack([start, start, token_lens, frame_lens], dim=1)
    return -package.mutual_information_recursion(px.contiguous(), py.contiguous(), boundary)
