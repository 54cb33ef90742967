"""The recursions of CTC on GPUs: a program per utterance and direction, which holds all states of a frame at once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def scan(
    emissions: Tensor, repeats: Tensor, frame_lens: Tensor, token_lens: Tensor, both: bool
) -> tuple[Tensor, Tensor | None]:
    """Alphas and betas; see :data:`speechkit.graphs.ctc.Scan`."""
    batch, num_frames, columns = emissions.shape
    directions, num_states = 1 + both, 2 * columns - 1
    found = emissions.new_full((directions, batch, num_frames, num_states), -torch.inf)
    block = triton.next_power_of_2(num_states)
    # Two frames, so that one is written while the other is read; in front of each two impossible states.
    frames = emissions.new_full((directions, batch, 2, block + 2), -torch.inf)
    _scan[(batch, directions)](
        emissions, repeats.to(torch.int8), frame_lens, token_lens, frames, found, num_frames, columns, num_states, block
    )
    return found[0], found[1] if both else None


@triton.jit
def _scan(
    emissions, repeats, frame_lens, token_lens, frames, found, num_frames, columns, num_states, BLOCK: tl.constexpr
):  # fmt: skip
    """Betas (direction 1) are alphas with frames and states counted from their ends, less the frame's own emission."""
    b, direction = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    batch = tl.num_programs(0)
    length, last = tl.load(frame_lens + b), 2 * tl.load(token_lens + b)
    i = tl.arange(0, BLOCK)
    inside = i <= last
    s = tl.where(direction == 1, last - i, i)
    is_token = inside & (s % 2 == 1)
    u = s // 2
    repeated = tl.load(repeats + b * columns + u + direction, mask=is_token, other=1)
    skips = is_token & (repeated == 0)

    emissions += b * num_frames * columns + tl.where(is_token, u + 1, 0)
    found += (direction * batch + b) * num_frames * num_states + s
    frames += (direction * batch + b) * 2 * (BLOCK + 2) + i
    arrived = tl.where(inside & (i < 2), 0.0, float("-inf")).to(tl.float64)
    for step in range(length):
        t = tl.where(direction == 1, length - 1 - step, step)
        now = arrived + tl.load(emissions + t * columns, mask=inside, other=float("-inf"))
        tl.store(found + t * num_states, tl.where(direction == 1, arrived, now), mask=inside)
        frame = frames + (step % 2) * (BLOCK + 2)
        tl.store(frame + 2, now)
        tl.debug_barrier()  # a state's neighbours may be held by other threads
        behind = tl.load(frame + 1)
        skipped = tl.where(skips, tl.load(frame), float("-inf"))
        highest = tl.maximum(tl.maximum(now, behind), skipped)
        base = tl.where(highest == float("-inf"), 0.0, highest)
        arrived = base + tl.log(tl.exp(now - base) + tl.exp(behind - base) + tl.exp(skipped - base))
