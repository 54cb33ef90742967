from __future__ import annotations

import pytest
import torch

from speechkit.train import checkpoint


def test_averaging_is_the_mean_and_keeps_types(tmp_path):
    for i, value in enumerate((1.0, 2.0, 6.0)):
        weights = {"w": torch.full((2, 3), value), "n": torch.tensor(i)}
        checkpoint.save_weights(weights, tmp_path / f"step-{i}.safetensors", {"step": i})
    mean = checkpoint.average([path for _, path in checkpoint.steps(tmp_path, ".safetensors")])
    assert mean["w"].eq(3.0).all() and mean["w"].dtype == torch.float32 and mean["n"].item() == 2
    assert checkpoint.read_metadata(tmp_path / "step-1.safetensors") == {"step": 1}


def test_files_are_ordered_by_number_and_the_oldest_go(tmp_path):
    for step in (9, 10, 100, 2):
        (tmp_path / f"step-{step}.pt").touch()
    (tmp_path / "step-x.pt").touch()
    checkpoint.keep_newest(tmp_path, ".pt", 2)
    assert [step for step, _ in checkpoint.steps(tmp_path, ".pt")] == [10, 100]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04half"])
def test_a_damaged_checkpoint_is_one_line_that_names_the_file(tmp_path, content):
    (tmp_path / "step-1.pt").write_bytes(content)
    with pytest.raises(ValueError, match="step-1.pt: damaged checkpoint .*delete it") as error:
        checkpoint.load(tmp_path / "step-1.pt")
    assert "\n" not in str(error.value)


def test_loading_never_runs_code_from_the_file(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"x": Evil()}, tmp_path / "step-1.pt")
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(tmp_path / "step-1.pt")


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "step-1.pt"
    checkpoint.save({"a": 1}, path)

    def full(state, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="step-1.pt: cannot write: No space left on device; free space"):
        checkpoint.save({"a": 2}, path)
    assert checkpoint.load(path) == {"a": 1} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"\x10\x00")])
def test_missing_or_damaged_weights_name_the_file(tmp_path, damage):
    path = tmp_path / "averaged.safetensors"
    checkpoint.save_weights({"w": torch.ones(2)}, path, {})
    damage(path)
    with pytest.raises(ValueError, match="averaged.safetensors"):
        checkpoint.load_weights(path)
