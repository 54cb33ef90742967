"""Decoders: from encoder output to scores of tokens, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
