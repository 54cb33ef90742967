"""Discriminators: from waveforms to scores of how real they sound, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
