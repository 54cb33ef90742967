"""Vocoders: from features to waveforms, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
