from __future__ import annotations

from toy import ToyBatches, ToyTask

from speechkit.train.task import Batches, Task


def test_the_toy_task_has_what_the_protocols_ask_for():
    for protocol, item in ((Task, ToyTask()), (Batches, ToyBatches())):
        wanted = [name for name in vars(protocol) if not name.startswith("_")] + list(getattr(protocol, "__annotations__", {}))
        assert wanted and all(hasattr(item, name) for name in wanted)
