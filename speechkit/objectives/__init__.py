"""Objectives: model outputs and targets -> one loss per utterance, in nats."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
