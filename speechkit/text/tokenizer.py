"""Tokenizers: text to token ids and back.

All share one layout of ids, so that objectives and searches need no case distinctions: 0 is ``<blank>``, 1 is
``<unk>``, then come the learned tokens, and the last id is ``<sos/eos>``.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from speechkit import config as configs
from speechkit.config import Choice, Component, ComponentConfig
from speechkit.text.scripts import has_ideograph
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.files import atomic_write

BLANK, UNK, SOS_EOS = "<blank>", "<unk>", "<sos/eos>"
UNK_TEXT = "\u2047"
"""What an unknown token reads as: one character, so that it counts as one error in a character error rate."""

_CONFIG_FILE, _TOKENS_FILE, _CHECKSUMS_FILE = "tokenizer.yaml", "tokens.json", "checksums.json"


class Tokenizer(Component, kind="tokenizer"):
    """Base of all tokenizers. A new one is untrained: call :meth:`fit`, or get a trained one by :meth:`load`."""

    class Config(ComponentConfig):
        unknown: Literal["error", "token"] = "error"
        """A symbol outside the vocabulary: ``error`` stops and names it, ``token`` encodes it as ``<unk>``."""

        @property
        def input_files(self) -> tuple[Path, ...]:
            """Files whose content decides, beside the texts, what is learned; a tokenizer of other ones is stale."""
            return ()

    blank_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    _files_beside_tokens: ClassVar[tuple[str, ...]] = ()
    _begins_with_space: ClassVar[bool] = False  # a token that begins a word carries the space before it

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tokens: list[str] = []
        self._ids: dict[str, int] = {}
        self._surfaces: list[str | bytes] = []

    @property
    def vocab_size(self) -> int:
        """V: the number of tokens, ``<blank>``, ``<unk>`` and ``<sos/eos>`` included."""
        self._check_trained()
        return len(self.tokens)

    @property
    def vocabulary(self) -> Vocabulary:
        """What networks, objectives and searches need to know of the tokens."""
        return Vocabulary(self.vocab_size, self.blank_id)

    @property
    def sos_id(self) -> int:
        """The last id; start and end of a sentence share it."""
        return self.vocab_size - 1

    @property
    def eos_id(self) -> int:
        """The last id; start and end of a sentence share it."""
        return self.sos_id

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary from ``texts``; the same texts and config give the same bytes in :meth:`save`.

        Raises:
            ValueError: the texts cannot give the vocabulary that the config asks for.
        """
        if isinstance(texts, str):
            raise ValueError("texts: expected several texts, got one string; give a list or another iterable of texts")
        self._set_tokens(self._learn(texts))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, each in 1 .. V-2; the empty text has none.

        Raises:
            ValueError: a symbol is outside the vocabulary and ``unknown`` is ``error``, or nothing was learned yet.
        """
        self._check_trained()
        symbols = self._split(text)
        ids = [self._ids.get(symbol, self.unk_id) for symbol in symbols]
        if self.unk_id in ids:
            self._meet_unknown(symbols[ids.index(self.unk_id)], text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``; ``<blank>`` and ``<sos/eos>`` are silent, ``<unk>`` reads as U+2047.

        Raises:
            ValueError: an id is outside 0 .. V-1.
        """
        text = "".join(surface for surface, _, _ in self._surfaces_of(ids))
        return text.removeprefix(" ") if self._begins_with_space else text

    def word_spans(self, ids: Sequence[int]) -> list[tuple[str, int, int]]:
        """The words in ``ids`` with the tokens that spell them.

        Words end at spaces. Chinese characters and kana, written without spaces, are words by themselves as far as
        the tokens allow: a token of several characters is one word. A token that only says "space" belongs to no word.

        Returns:
            (word, first, last) in order, ``last`` exclusive: ``ids[first:last]`` spells the word.
        """
        spans: list[tuple[str, int, int]] = []
        word, start, end = "", 0, 0
        for surface, first, last in self._surfaces_of(ids):
            for position, part in enumerate(surface.split(" ")):
                alone = has_ideograph(part)
                if word and (position > 0 or alone):
                    spans.append((word, start, end))
                    word = ""
                if alone:
                    spans.append((part, first, last))
                elif part:
                    word, start, end = word + part, start if word else first, last
        return [*spans, (word, start, end)] if word else spans

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, dir: Path | str) -> None:
        """Write ``tokenizer.yaml``, ``tokens.json``, what the kind adds, and ``checksums.json`` last.

        Each file is written whole or not at all, with bytes that depend on the config and the vocabulary only.
        """
        self._check_trained()
        files = {_CONFIG_FILE: configs.dump(self.config).encode(), **self._to_files()}
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for name, content in {**files, _CHECKSUMS_FILE: _to_json(sums)}.items():
            with atomic_write(Path(dir) / name, "wb") as file:
                file.write(content)

    @staticmethod
    def load(dir: Path | str) -> Tokenizer:
        """The tokenizer that :meth:`save` wrote into ``dir``, of whichever kind it is.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is not the one that was saved.
        """
        dir = Path(dir)
        sums = _read_checksums(dir / _CHECKSUMS_FILE)
        _read_checked(dir / _CONFIG_FILE, sums)
        raw = {"tokenizer": configs.read_yaml(dir / _CONFIG_FILE)}
        tokenizer = configs.validate(_SavedConfig, raw, source=str(dir / _CONFIG_FILE)).tokenizer.build()
        names = (_TOKENS_FILE, *tokenizer._files_beside_tokens)
        tokenizer._from_files({name: _read_checked(dir / name, sums) for name in names})
        return tokenizer

    def _to_files(self) -> dict[str, bytes]:
        return {_TOKENS_FILE: _to_json(self.tokens)}

    def _from_files(self, files: dict[str, bytes]) -> None:
        self._set_tokens(json.loads(files[_TOKENS_FILE])[2:-1])

    # --- what a kind defines ------------------------------------------------------------------------------------

    def _learn(self, texts: Iterable[str]) -> list[str]:
        """The learned tokens, in the order of their ids."""
        raise NotImplementedError

    def _split(self, text: str) -> list[str]:
        """``text`` as symbols, each of which is a token or unknown."""
        raise NotImplementedError

    def _surface(self, token: str) -> str | bytes:
        """What a token (or U+2047) adds to a text; bytes where several tokens make one character."""
        return token

    # --- shared by the kinds ------------------------------------------------------------------------------------

    def _set_tokens(self, learned: Iterable[str]) -> None:
        # A word "<blank>" in a transcript must never become the id 0: the reserved names stay unknown symbols.
        learned = [token for token in learned if token not in (BLANK, UNK, SOS_EOS)]
        self.tokens = [BLANK, UNK, *learned, SOS_EOS]
        self._ids = {token: index for index, token in enumerate(learned, start=2)}
        self._surfaces = ["", self._surface(UNK_TEXT), *map(self._surface, learned), ""]

    def _check_trained(self) -> None:
        if not self.tokens:
            raise ValueError(f"{self.config.name} tokenizer: no vocabulary yet; call fit(texts) or Tokenizer.load(dir)")

    def _meet_unknown(self, symbol: str, text: str) -> None:
        if self.config.unknown == "error":
            raise ValueError(
                f"{self.config.name} tokenizer: {symbol!r} in {text!r} is outside the vocabulary of "
                f"{self.vocab_size} tokens; normalize the text, fit the tokenizer on text that has it, "
                "or set tokenizer.unknown: token"
            )

    def _surfaces_of(self, ids: Sequence[int]) -> Iterator[tuple[str, int, int]]:
        """(text, first, last): what ``ids[first:last]`` add to the text, bytes joined to characters."""
        self._check_trained()
        for token_id in ids:
            if not 0 <= token_id < len(self.tokens):
                raise ValueError(f"{self.config.name} tokenizer: expected ids in 0 .. {self.sos_id}, got {token_id}")
        surfaces = [(index, self._surfaces[token_id]) for index, token_id in enumerate(ids)]
        for is_bytes, group in itertools.groupby(surfaces, lambda item: isinstance(item[1], bytes)):
            if is_bytes:
                yield from _characters(list(group))
            else:
                yield from ((surface, index, index + 1) for index, surface in group)


class _SavedConfig(configs.Config):
    tokenizer: Choice[Tokenizer]


def _characters(items: list[tuple[int, Any]]) -> Iterator[tuple[str, int, int]]:
    """Join (index, byte) items to (characters, first index, last index exclusive)."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    first = items[0][0]
    for index, byte in items:
        text = decoder.decode(byte, final=index == items[-1][0])
        if text:
            yield text, first, index + 1
            first = index + 1


def _to_json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=0) + "\n").encode()


def _read_checksums(path: Path) -> dict[str, str]:
    content = _read(path)
    try:
        sums = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); {_REMEDY}") from None
    if not isinstance(sums, dict):
        raise ValueError(f"{path}: expected a mapping of file names, got {type(sums).__name__}; {_REMEDY}")
    return sums


def _read_checked(path: Path, sums: dict[str, str]) -> bytes:
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if sums.get(path.name) != found:
        raise ValueError(f"{path}: expected sha256 {sums.get(path.name)}, got {found}: it was altered; {_REMEDY}")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise type(error)(error.errno, f"{path}: cannot read the tokenizer file: {error.strerror}; {_REMEDY}") from None


_REMEDY = "restore the tokenizer directory from a copy, or train the tokenizer (and the model) again"
