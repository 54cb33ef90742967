"""Which characters stand for a word or syllable by themselves, in writing that puts no spaces between words."""

from __future__ import annotations

import re

# Han with its extensions and compatibility forms, the iteration mark and zero, and the two kana.
IDEOGRAPHS = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_IDEOGRAPH = re.compile(f"[{IDEOGRAPHS}]")


def has_ideograph(text: str) -> bool:
    """Whether ``text`` holds a Chinese character or a Japanese kana."""
    return _IDEOGRAPH.search(text) is not None
