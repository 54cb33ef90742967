"""Subword tokens by SentencePiece (byte pair encoding or a unigram model)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import pydantic
import sentencepiece

from speechkit.text.byte import byte_of
from speechkit.text.tokenizer import Tokenizer

_SPACE = "\u2581"  # SentencePiece's sign for a space
_RESERVED = re.compile("[\u2581\u2585\u2047\0]")  # SentencePiece skips training sentences with these without a word
_MODEL_FILE = "bpe.model"


class BpeTokenizer(Tokenizer, name="bpe"):
    """Subwords learned by SentencePiece. Text is taken as it is: no normalization, all spaces kept.

    SentencePiece's own ids are not visible: its id ``i`` (0 is its unknown piece) is our ``i + 1``.

    Papers: Sennrich et al. 2016 (byte pair encoding), Kudo 2018 (unigram language model).
    """

    class Config(Tokenizer.Config):
        vocab_size: int = pydantic.Field(default=500, ge=4)
        """Number of tokens, ``<blank>``, ``<unk>`` and ``<sos/eos>`` included."""
        model_type: Literal["unigram", "bpe"] = "unigram"
        """How the pieces are chosen: ``unigram`` (language model, pruned) or ``bpe`` (merges)."""
        character_coverage: float = pydantic.Field(default=1.0, ge=0.98, le=1)
        """Share of the text's characters, 0.98 to 1, that get a piece; the rarest are unknown (Chinese: 0.9995)."""
        byte_fallback: bool = False
        """Spell unknown characters in UTF-8 bytes (256 tokens of the vocabulary), so that none is unknown."""

    _files_beside_tokens = (_MODEL_FILE,)
    _begins_with_space = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._processor = sentencepiece.SentencePieceProcessor()

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``: see :meth:`Tokenizer.encode`.

        Raises:
            ValueError: an unknown symbol as in the base class, or U+2581, which would be mistaken for a space.
        """
        self._check_trained()
        if _SPACE in text:
            raise ValueError(f"bpe tokenizer: {_SPACE!r} (U+2581) in {text!r} means a space here; normalize it away")
        ids = [index + 1 for index in self._processor.encode(text)]
        if self.unk_id in ids:
            self._meet_unknown(self._processor.encode(text, out_type=str)[ids.index(self.unk_id)], text)
        return ids

    def _learn(self, texts: Iterable[str]) -> list[str]:
        sentences = [text for text in texts if text]
        self._check_sentences(sentences)
        self._load_model(self._train(sentences))
        pieces = [self._processor.id_to_piece(index) for index in range(self._processor.get_piece_size())]
        if len(pieces) + 2 != self.config.vocab_size:
            raise ValueError(
                f"tokenizer.vocab_size: this text gives at most {len(pieces) + 2} {self.config.model_type} tokens, "
                f"got {self.config.vocab_size}; lower it to {len(pieces) + 2} or less, or train on more text"
            )
        return pieces[1:]  # without SentencePiece's unknown piece

    def _train(self, sentences: Sequence[str]) -> bytes:
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=model,
                vocab_size=self.config.vocab_size - 2,
                model_type=self.config.model_type,
                character_coverage=self.config.character_coverage,
                byte_fallback=self.config.byte_fallback,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                hard_vocab_limit=False,  # too few pieces is our own error, with the maximum in it
                max_sentence_length=2**30,  # longer ones would be skipped in silence
                num_threads=1,  # sums over threads would depend on their number
                minloglevel=2,
            )
        except RuntimeError as error:
            raise self._training_error(error) from None
        return model.getvalue()

    def _check_sentences(self, sentences: Sequence[str]) -> None:
        if not sentences:
            raise ValueError("bpe tokenizer: expected text to learn from, got none; give it the training transcripts")
        for sentence in sentences:
            if reserved := _RESERVED.search(sentence):
                raise ValueError(
                    f"bpe tokenizer: {reserved[0]!r} in {sentence!r} is reserved by SentencePiece; normalize it away"
                )

    def _training_error(self, error: RuntimeError) -> ValueError:
        if needed := re.search(r"required_chars\. \d+ vs (\d+)", str(error)):
            least = int(needed[1]) + 2
            return ValueError(
                f"tokenizer.vocab_size: the characters of this text alone need {least} tokens, "
                f"got {self.config.vocab_size}; raise it to {least} or more, or lower tokenizer.character_coverage"
            )
        return ValueError(f"bpe tokenizer: SentencePiece cannot learn from this text: {error}")

    def _load_model(self, model: bytes) -> None:
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def _surface(self, token: str) -> str | bytes:
        if self.config.byte_fallback and re.fullmatch("<0x[0-9A-F]{2}>", token):
            return byte_of(token)
        return token.replace(_SPACE, " ")

    def _to_files(self) -> dict[str, bytes]:
        return {**super()._to_files(), _MODEL_FILE: self._model}

    def _from_files(self, files: dict[str, bytes]) -> None:
        self._load_model(files[_MODEL_FILE])
        super()._from_files(files)
