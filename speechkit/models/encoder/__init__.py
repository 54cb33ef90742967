"""Encoders: from features to a sequence of vectors, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
