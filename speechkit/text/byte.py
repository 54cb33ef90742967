"""UTF-8 bytes as tokens."""

from __future__ import annotations

from collections.abc import Iterable

from speechkit.text.tokenizer import UNK_TEXT, Tokenizer


class ByteTokenizer(Tokenizer, name="byte"):
    """One token per UTF-8 byte: 256 + 3 tokens for any language, nothing to learn and nothing unknown.

    Bytes that are no valid UTF-8 (a search may emit them) decode to U+FFFD.
    """

    def __init__(self, config: Tokenizer.Config) -> None:
        super().__init__(config)
        self._set_tokens(self._learn(()))

    def _learn(self, texts: Iterable[str]) -> list[str]:
        return [f"<0x{byte:02X}>" for byte in range(256)]

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``: its UTF-8 bytes plus 2."""
        return [byte + 2 for byte in text.encode()]

    def _surface(self, token: str) -> str | bytes:
        return token if token == UNK_TEXT else byte_of(token)


def byte_of(token: str) -> bytes:
    """The byte that a token like ``<0x0A>`` stands for."""
    return bytes([int(token[3:5], base=16)])
