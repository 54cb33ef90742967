"""Searches: log-probabilities -> the best token sequences, with times and confidences; and from those the words."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
