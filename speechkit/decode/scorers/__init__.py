"""Scorers: what a beam search adds to the network's own scores, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
