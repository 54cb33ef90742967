"""Text: tokenizers (kind ``tokenizer``), normalizers (kind ``normalizer``) and pronunciation lexicons."""

from __future__ import annotations

from speechkit.config import import_submodules

import_submodules(__name__, __path__)
