"""Lattices: n-best lists against all paths of small random ones."""

from __future__ import annotations

import numpy as np
import pytest

from speechkit.decode.lattice import Lattice, Weights


def random_lattice(seed: int, num_states: int = 7, num_links: int = 16) -> Lattice:
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.choice(num_states, (num_links, 2)), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    ends = ends[np.argsort(ends[:, 0], kind="stable")]
    count = len(ends)
    final = np.where(rng.random(num_states) < 0.5, -rng.random(num_states), -np.inf)
    final[-1] = -0.5
    return Lattice(
        frames=np.arange(num_states), final=final, sources=ends[:, 0], targets=ends[:, 1], labels=rng.integers(0, 3, count),
        begins=np.zeros(count, bool), words=rng.integers(0, 3, count), acoustic=-rng.random(count), graph=-rng.random(count),
    )  # fmt: skip


def all_paths(lattice: Lattice, weights: Weights) -> dict[tuple[int, ...], float]:
    """Word sequence -> score of its best path."""
    best: dict[tuple[int, ...], float] = {}

    def go(state: int, words: tuple[int, ...], score: float) -> None:
        if np.isfinite(lattice.final[state]):
            best[words] = max(best.get(words, -np.inf), score + weights.graph * lattice.final[state])
        for link in np.flatnonzero(lattice.sources == state):
            word = int(lattice.words[link])
            gain = weights.acoustic * lattice.acoustic[link] + weights.graph * lattice.graph[link] + weights.word * (word > 0)
            go(lattice.targets[link], (*words, word) if word else words, score + gain)

    go(0, (), 0.0)
    return best


@pytest.mark.parametrize(("seed", "n"), [(seed, n) for seed in range(5) for n in (1, 3, 50)])
def test_the_n_best_word_sequences_are_those_of_all_paths(seed: int, n: int) -> None:
    lattice, weights = random_lattice(seed), Weights(0.8, 1.2, 0.3)
    expected = sorted(all_paths(lattice, weights).items(), key=lambda item: -item[1])[:n]
    found = lattice.nbest(n, weights)
    assert [path.score for path in found] == pytest.approx([score for _, score in expected])
    for path, (words, _) in zip(found, expected, strict=True):
        assert tuple(lattice.words[path.links][lattice.words[path.links] > 0]) == words
        assert (lattice.targets[path.links[:-1]] == lattice.sources[path.links[1:]]).all()


def test_a_lattice_without_an_end_has_no_paths() -> None:
    lattice = random_lattice(0)
    lattice.final[:] = -np.inf
    assert lattice.nbest(3, Weights()) == []


def test_a_lattice_is_written_and_read_back(tmp_path) -> None:
    lattice = random_lattice(1)
    lattice.write(tmp_path / "a.npz")
    read = Lattice.read(tmp_path / "a.npz")
    assert all((value == getattr(read, name)).all() for name, value in vars(lattice).items())
