"""Predictors of transducers: from the labels so far to a vector that the joiner adds to the encoder's, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
