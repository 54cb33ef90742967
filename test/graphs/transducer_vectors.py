"""Losses and gradients of transducers that other projects publish, with their inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SMALL = [
    [[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1], [0.1, 0.1, 0.2, 0.8, 0.1]],
    [[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.2, 0.1, 0.1], [0.7, 0.1, 0.2, 0.1, 0.1]],
]
THIRD_FRAME = [[0.3, 0.2, 0.1, 0.1, 0.1], [0.1, 0.4, 0.2, 0.1, 0.1], [0.2, 0.1, 0.2, 0.3, 0.1]]
BIG = """
0.06535690384862791 0.7875301411923206 0.08159176605666074 0.5297155426466327 0.7506749639230854 0.7541348379087998
0.6097641124736383 0.8681404965673826 0.6225318186056529 0.6685222872103057 0.8580392805336061 0.16453892311765583
0.989779515236694 0.944298460961015 0.6031678586829663 0.9467833543605416 0.666202507295747 0.28688179752461884
0.09418426230195986 0.3666735970751962 0.736168049462793 0.1666804425271342 0.7141542198635192 0.3993997272216727
0.5359823524146038 0.29182076440286386 0.6126422611507932 0.3242405528768486 0.8007644367291621 0.5241057606558068
0.779194617063042 0.18331417220174862 0.113745182072432 0.24022162381327106 0.3394695622533106 0.1341595066017014
0.5055615569388828 0.051597282072282646 0.6402903936686337 0.43073311517251 0.8294731834714112 0.1774668847323424
0.3207001991262245 0.04288308912457006 0.30280282975568984 0.6751777088333762 0.569537369330242 0.5584738347504452
0.08313242153985256 0.06016544344162322 0.10795752845152584 0.7486153608562472 0.943918041459349 0.4863558118797222
0.4181986264486809 0.6524078485043804 0.024242983423721887 0.13458171554507403 0.3663418070512402 0.2958297395361563
0.9236695822497084 0.6899291482654177 0.7418981733448822 0.25000547599982104 0.6034295486281007 0.9872887878887768
0.5926057265215715 0.8846724004467684 0.5434495396894328 0.6607698886038497 0.3771277082495921 0.3580209022231813
"""


@dataclass
class Vector:
    """One published case.

    Args:
        logits: (B, S, U + 1, V).
        tokens: (B, U).
        losses: (B,).
        frame_lens: (B,); S each if None.
        token_lens: (B,); U each if None.
        blank_id: Of the blank.
        topology: Of the lattice.
        log_prob_grad: ``{cell (b, t, u): (gradient of the blank's log-probability, of the token's)}``, 0 elsewhere.
        logit_grad: Gradient of the logits, flattened.
        tolerance: Absolute, as far as the numbers are printed.
    """

    logits: Tensor
    tokens: list[list[int]]
    losses: list[float]
    frame_lens: list[int] | None = None
    token_lens: list[int] | None = None
    blank_id: int = 0
    topology: str = "regular"
    log_prob_grad: dict[tuple[int, int, int], tuple[float, float]] | None = None
    logit_grad: list[float] | None = None
    tolerance: float = 1e-6

    def lens(self) -> tuple[Tensor, Tensor]:
        """Frames and tokens per utterance."""
        batch, frames, positions = self.logits.shape[:3]
        return torch.tensor(self.frame_lens or [frames] * batch), torch.tensor(self.token_lens or [positions - 1] * batch)


def log_probs_of(logits: Tensor, tokens: Tensor, blank_id: int = 0) -> tuple[Tensor, Tensor]:
    """What the lattice needs of ``logits`` (B, S, U + 1, V): the blank's log-probabilities and those of ``tokens`` (B, U)."""
    log_probs = logits.log_softmax(-1)
    index = tokens[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    return log_probs[..., blank_id], log_probs[:, :, :-1].gather(3, index)[..., 0]


def _tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _random(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).randn(*shape)).float().double()


def _rna_batch() -> Tensor:
    logits = torch.zeros(2, 35, 4, 5, dtype=torch.float64)
    logits[0, :33, :3], logits[1] = _random(0, 1, 33, 3, 5)[0], _random(0, 1, 35, 4, 5)[0]
    return logits


AM = _tensor([[0, 1, 2], [0, 0, 0], [0, 2, 4], [0, 3, 3]])
LM = _tensor([[0, 0, 1], [0, 1, 1], [1, 0, 1], [2, 2, 0]])
"""Of k2-fsa/k2 k2/python/tests/rnnt_loss_test.py, for the tokens 0 1 0 with the blank 2."""

PROBABILITIES = [
    [0.6, 0.3, 0.1], [0.7, 0.1, 0.2], [0.5, 0.1, 0.4], [0.5, 0.4, 0.1], [0.5, 0.1, 0.4], [0.8, 0.1, 0.1],
    [0.4, 0.3, 0.3], [0.5, 0.1, 0.4], [0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.3, 0.1, 0.6], [0.8, 0.1, 0.1],
]  # fmt: skip

SMALL_GRAD = {
    (0, 0, 0): (-0.308198071906, -0.6918019280939998), (0, 0, 1): (-0.308198071906, -0.3836038561880001),
    (0, 0, 2): (-0.3836038561880001, 0), (0, 1, 0): (0, -0.308198071906), (0, 1, 1): (0, -0.6163961438119995),
    (0, 1, 2): (-1, 0),
}  # fmt: skip
THREE_FRAMES_GRAD = {
    (0, 0, 0): (-0.45920877, -0.54079123), (0, 0, 1): (-0.32392462, -0.21686661), (0, 0, 2): (-0.21686661, 0),
    (0, 1, 0): (-0.13528414, -0.32392462), (0, 1, 1): (-0.29937584, -0.3484734), (0, 1, 2): (-0.56534001, 0),
    (0, 2, 0): (0, -0.13528414), (0, 2, 1): (0, -0.43465999), (0, 2, 2): (-1, 0),
}  # fmt: skip
BIG_GRAD = {
    (0, 0, 0): (-0.4322264564338117, -0.5677735435661883), (0, 0, 1): (-0.36565009313836844, -0.20212345042782007),
    (0, 0, 2): (-0.20212345042782007, 0), (0, 1, 0): (-0.16521672442463506, -0.2670097320091765),
    (0, 1, 1): (-0.3943653886107811, -0.2382944365367636), (0, 1, 2): (-0.44041788696458367, 0),
    (0, 2, 0): (-0.052129794015740985, -0.11308693040889405), (0, 2, 1): (-0.18313786985332664, -0.3243144491663483),
    (0, 2, 2): (-0.7647323361309323, 0), (0, 3, 0): (0, -0.052129794015740985), (0, 3, 1): (0, -0.23526766386906767),
    (0, 3, 2): (-1, 0),
    (1, 0, 0): (-0.7161424128232795, -0.2838575871767207), (1, 0, 1): (-0.18382932237365335, -0.10002826480306751),
    (1, 0, 2): (-0.10002826480306751, 0), (1, 1, 0): (-0.41121794618117213, -0.3049244666421072),
    (1, 1, 1): (-0.3295759402552584, -0.15917784876050195), (1, 1, 2): (-0.2592061135635692, 0),
    (1, 2, 0): (-0.11607642141651396, -0.29514152476465827), (1, 2, 1): (-0.2865333615432337, -0.3381841034766833),
    (1, 2, 2): (-0.5973902170402529, 0), (1, 3, 0): (0, -0.11607642141651396), (1, 3, 1): (0, -0.4026097829597475),
    (1, 3, 2): (-1, 0),
}  # fmt: skip
BLANK_LAST_GRAD = [
    0.17703132, -0.39992708, 0.17703132, 0.17703132, -0.13116692, 0.12247062, 0.12247062, -0.181684, 0.12247062, -0.1857276,
    0.06269141, 0.06269141, 0.06928471, 0.12624498, -0.32091248, 0.05456069, -0.2182428, 0.05456069, 0.05456069, 0.05456069,
    0.12073967, 0.12073967, -0.48295838, 0.12073967, 0.12073967, 0.30741188, 0.16871123, 0.18645471, 0.16871123, -0.83128875,
]  # fmt: skip
RNA_THREE_FRAMES_GRAD = {
    (0, 0, 0): (-0.29989038, -0.70010962), (0, 1, 0): (0, -0.2998903814074949),
    (0, 1, 1): (-0.3318198750872436, -0.36828974350526167), (0, 2, 1): (0, -0.63171026), (0, 2, 2): (-0.36828974, 0),
}  # fmt: skip
I6_GRAD = [
    0.04, -0.14, 0.1, 0, 0, 0, 0, 0, 0, 0.13, -0.19, 0.06, -0.04, 0.04, -0.01, 0, 0, 0,
    0.06, -0.1, 0.04, 0.01, 0.07, -0.08, -0.06, 0.04, 0.02, 0, 0, 0, 0.14, 0.05, -0.19, -0.11, 0.05, 0.05,
]  # fmt: skip

small, big = _tensor([SMALL]), _tensor([float(x) for x in BIG.split()]).view(2, 4, 3, 3)
VECTORS = {
    # HawkAaron/warp-transducer pytorch_binding/test/test.py; 1ytic/warp-rnnt pytorch_binding/warp_rnnt/test.py
    "warp_transducer_small": Vector(small, [[1, 2]], [4.495666773770733], log_prob_grad=SMALL_GRAD),
    "warp_transducer_big": Vector(
        big, [[1, 2], [1, 1]], [4.2806528590890736, 3.9384369822503591], log_prob_grad=BIG_GRAD
    ),
    "warp_rnnt_one_frame": Vector(
        small[:, :1], [[1, 2]], [4.274244594423859],
        log_prob_grad={(0, 0, 0): (0, -1), (0, 0, 1): (0, -1), (0, 0, 2): (-1, 0)},
    ),
    "warp_rnnt_no_token": Vector(small[:, :1, :1], [[]], [1.7314291957733714], log_prob_grad={(0, 0, 0): (-1, 0)}),
    "warp_rnnt_three_frames": Vector(
        _tensor([[*SMALL, SMALL[0]]]), [[1, 2]], [5.7367250428101615], log_prob_grad=THREE_FRAMES_GRAD
    ),
    "warp_rnnt_padding": Vector(
        _tensor([[*SMALL, [[0] * 5] * 3]]), [[1, 2]], [4.495666773770733], frame_lens=[2], log_prob_grad=SMALL_GRAD
    ),
    # pytorch/audio test/torchaudio_unittest/rnnt/utils.py
    "torchaudio_blank_last": Vector(small, [[1, 2]], [5.09566688538], blank_id=4, logit_grad=BLANK_LAST_GRAD),
    "torchaudio_uniform": Vector(torch.full((1, 10, 3, 4), 0.1), [[1, 2]], [12.628199148206214]),
    # k2-fsa/k2 k2/python/tests/rnnt_loss_test.py: its inputs, whose losses k2 compares among its functions
    "k2_regular": Vector((AM[:, None] + LM)[None], [[0, 1, 0]], [7.504013356021812], blank_id=2),
    "k2_modified": Vector((AM[:, None] + LM)[None], [[0, 1, 0]], [6.545785004193914], blank_id=2, topology="modified"),
    # 1ytic/warp-rna pytorch_binding/warp_rna/test.py
    "warp_rna_diagonal": Vector(
        small, [[1, 2]], [2.761683127353663], topology="monotonic",
        log_prob_grad={(0, 0, 0): (0, -1), (0, 1, 1): (0, -1)},
    ),
    "warp_rna_three_frames": Vector(
        _tensor([[*SMALL, THIRD_FRAME]]), [[1, 2]], [3.3550581936582096], topology="monotonic",
        log_prob_grad=RNA_THREE_FRAMES_GRAD,
    ),
    "warp_rna_batch": Vector(
        _rna_batch(), [[1, 2, 0], [1, 2, 3]], [53.468501840135765, 51.853917105812265], [33, 35], [2, 3],
        topology="monotonic", tolerance=1e-5,
    ),
    "warp_rna_lengths": Vector(
        _random(0, 2, 20, 21, 3), [[1] * 20] * 2, [16.839792588945365, 17.152040043873], [15, 15], [1, 1],
        topology="monotonic", tolerance=1e-5,
    ),
    "warp_rna_no_token": Vector(
        small[:, :1, :1], [[]], [1.7314291957733714], topology="monotonic", log_prob_grad={(0, 0, 0): (-1, 0)}
    ),
    # rwth-i6/i6_native_ops test/monotonic_rnnt.py, gradients printed with two digits
    "i6_monotonic": Vector(
        _tensor(PROBABILITIES).log().view(1, 4, 3, 3), [[1, 2]], [1.0133524447], topology="monotonic",
        logit_grad=I6_GRAD, tolerance=0.0101,
    ),
}  # fmt: skip
