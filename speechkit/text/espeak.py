"""Phones from espeak-ng: the library in the wheel ``espeakng-loader``, called in this process.

Unlike speaking (:mod:`speechkit.data.corpora.espeak`), reading text as phones leaves no state behind, so the same text
always gives the same phones and no child process is needed. The library has one current voice and one buffer for its
answer: a lock serves threads one after the other, and a forked process gets a lock of its own. What was read before
comes from a cache, a thousand times faster.

Which reading of a heteronym espeak-ng takes depends on the few words before it, at most. Seen with espeakng-loader
0.2.4 (en-us): right are "has read" and "were read" (/ɹɛd/), "to record" and "the record", "I object" and "the object",
"I refuse" and "the refuse", "he tears it", "live music". Wrong are the past in "I read a book yesterday" (/ɹiːd/), the
verbs that begin a clause ("record it", "wind the clock", "close the door", "use it"), and meanings that only sense tells
apart (a resume, made of lead, a bass, a minute detail). Phones in curly braces say what is meant.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import re
import shutil
import tempfile
import threading

_MAX_DATA_PATH = 120  # bytes; espeak-ng keeps the path, with file names behind it, in a buffer of 160
_SEPARATOR = "_"

# From espeak-ng's speak_lib.h
_SYNCHRONOUS, _DONT_EXIT, _UTF8, _IPA = 2, 0x8000, 1, 2

_SWITCH = re.compile(r"\([a-z]+(?:-[a-z0-9]+)*\)")  # "(en)": the words behind it are read as another language's

_lock = threading.Lock()


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()  # the parent's may be held by a thread that this process does not have


os.register_at_fork(after_in_child=_new_lock)


@functools.lru_cache(maxsize=1 << 16)
def read(text: str, language: str) -> tuple[tuple[str, ...], ...]:
    """Phones of ``text``.

    Args:
        text: A clause or less. Punctuation in it is a hint for reading; it is not in the result.
        language: An espeak-ng voice: en-us, en-gb, cmn (Mandarin), de, fr-fr ...

    Returns:
        For each word its phones in the International Phonetic Alphabet, a vowel's stress mark before it (``ˈoʊ``). What
        is spoken as one, as "of the", is one word; words of another language are read as that language's.

    Raises:
        ValueError: espeak-ng has no such voice, or cannot start.
    """
    with _lock:
        clauses = _library().phonemes(text, language)
    words = " ".join(_SWITCH.sub(" ", clause.replace(f"{_SEPARATOR}(", "(")) for clause in clauses).split()
    split = (tuple(phone for phone in word.split(_SEPARATOR) if phone) for word in words)
    return tuple(phones for phones in split if phones)


@functools.cache
def _library() -> _Library:
    return _Library()


class _Library:
    """The loaded library; hold the lock while using it."""

    def __init__(self) -> None:
        import espeakng_loader

        self._voice = ""
        self._call = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
        if self._call.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(_short_path(data)), _DONT_EXIT) <= 0:
            raise ValueError(f"espeak-ng: expected its data in {data}, got none that it can use; reinstall espeakng-loader")
        self._call.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._call.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]

    def phonemes(self, text: str, language: str) -> list[str]:
        """Each clause of ``text`` with its phones apart from each other."""
        if language != self._voice and self._call.espeak_SetVoiceByName(language.encode()) != 0:
            self._voice = ""
            raise ValueError(f"espeak-ng: expected a voice such as en-us, cmn or de, got {language!r}; correct it")
        self._voice = language
        buffer = ctypes.create_string_buffer(text.replace("\0", " ").encode())
        rest, clauses = ctypes.c_void_p(ctypes.addressof(buffer)), []
        while rest.value:  # one clause at a time, until the library says that nothing is left
            clause = self._call.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA | ord(_SEPARATOR) << 8)
            clauses.append((clause or b"").decode())
        return clauses


def _short_path(path: str) -> str:
    """``path``, or a link to it, which lives as long as this process, when it is too long for espeak-ng."""
    if len(os.fsencode(path)) <= _MAX_DATA_PATH:
        return path
    folder = tempfile.mkdtemp(prefix="espeak-")
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    os.symlink(path, f"{folder}/data", target_is_directory=True)
    return f"{folder}/data"
