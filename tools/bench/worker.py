"""A process that does one piece of work per line that it is sent, so that two libraries can be timed in turn."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


class Worker:
    """Runs a command that answers each line with one line of JSON.

    Args:
        command: The program, with its arguments; it can import speechkit.
    """

    def __init__(self, command: Sequence[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, request: str) -> dict:
        """Send a line, wait for the answer; a worker that died says why."""
        if self.process.poll() is None:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise ChildProcessError(self.process.stderr.read().strip().splitlines()[-1])
        return json.loads(answer)
