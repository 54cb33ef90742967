"""Waveforms to features: featurizers (kind ``featurizer``), normalisation (kind ``cmvn``) and SpecAugment."""

from __future__ import annotations

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
