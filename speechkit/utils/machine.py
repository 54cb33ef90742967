"""What made a number: the machine, the versions and the command, for every table and report."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import date
from pathlib import Path


def describe() -> str:
    """One line: processor, cores, threads and torch version; with the GPU if there is one."""
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    return f"{processor()}, {cores}{gpu}, Python {platform.python_version()}, torch {torch.__version__}"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.machine()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()


def peak_memory() -> float:
    """GiB that this process has held at most so far: on the GPU where there is one, else in main memory."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def command() -> str:
    """The command line of this process, as one would type it."""
    program = Path(sys.argv[0])
    as_module = program.absolute().is_relative_to(Path(__file__).absolute().parents[1])  # `python -m speechkit`
    return shlex.join(["speechkit" if as_module else program.name, *sys.argv[1:]])


def today() -> str:
    """The date in ISO form."""
    return date.today().isoformat()
