"""Acoustic models: from tokens to features of speech, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
