"""Corpora: where each comes from and how its files become cuts. One file per corpus; ``name`` in YAML picks it."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
