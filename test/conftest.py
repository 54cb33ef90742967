"""What holds for every test: few threads, fixed seeds, no network, and tiers that are skipped where they cannot run."""

from __future__ import annotations

import importlib
import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Read by torch, BLAS and numba when they are imported, which is later, and by every program that a test starts.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    if "PYTEST_XDIST_WORKER" in os.environ:  # workers inherit the variables of the process that started them
        os.environ[variable] = "1"
    else:
        os.environ.setdefault(variable, "2")

LOOPBACK = ("localhost", "127.0.0.1", "::1", "", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tiers whose means are missing, and say how to get them."""
    if not os.environ.get("SPEECHKIT_CORPORA"):
        _skip(items, "corpus", "needs real recordings: set SPEECHKIT_CORPORA to the folder that holds the corpora")
    if (
        any(item.get_closest_marker("gpu") for item in items)
        and not importlib.import_module("torch").cuda.is_available()
    ):
        _skip(items, "gpu", "needs an NVIDIA GPU")


def _skip(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def corpora() -> Path:
    """The folder of real corpora; for tests marked ``corpus``."""
    return Path(os.environ["SPEECHKIT_CORPORA"])


@pytest.fixture(autouse=True)
def seeds() -> None:
    """The same random numbers in every test, whichever ran before; libraries that nobody imported stay so."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """A test that talks to another machine fails; this machine's own addresses are free."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: Any) -> None:
        host = host.decode() if isinstance(host, bytes) else host
        if host not in LOOPBACK and not str(host).startswith("127."):
            raise RuntimeError(
                f"a test wants to talk to {host!r}: tests run without a network; serve it from localhost"
            )

    def checked_connect(self: socket.socket, address: Any) -> None:
        check(address[0] if isinstance(address, tuple) else "")  # a Unix socket has a path, no host
        return connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        check(address[0] if isinstance(address, tuple) else "")
        return connect_ex(self, address)

    def checked_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> list:
        check(host)
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield
