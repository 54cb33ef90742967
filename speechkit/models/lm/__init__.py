"""Language models: the probability of the next token after those before it, one file each."""

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
