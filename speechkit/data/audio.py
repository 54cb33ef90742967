"""Audio in: cuts and files of any format, rate and channel count become mono float32 at one sampling rate.

Several channels are averaged, except that a Lhotse ``MonoCut`` reads only the channel that it names. Rates are
converted by soxr (HQ). Every failure is one line that names the cut, the file and the remedy.
"""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Hashable, MutableMapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from lhotse.audio import AudioLoadingError, DurationMismatchError, Recording
from lhotse.augmentation import AudioTransform, Resample, Speed
from lhotse.cut import Cut, MixedCut, MonoCut, MultiCut, PaddingCut

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au"})
"""What libsndfile decodes by itself, for those who look through folders."""

DURATION_TOLERANCE = 0.1
"""Seconds by which a file may differ from its manifest: lossy decoders add or drop a frame or two, nothing more."""

AudioCache = MutableMapping[Hashable, np.ndarray]

_UNKNOWN_LENGTH = 2**62  # libsndfile reports about this many frames where the header does not say


class AudioError(ValueError):
    """Audio that cannot be used: ``reason`` is the short form that reports count by."""

    reason: str = "unreadable audio"


def _fail(where: object, reason: str, detail: str) -> AudioError:
    error = AudioError(f"{where}: {reason}: {detail}")
    error.reason = reason
    return error


class _Segment(NamedTuple):
    """A stretch of one file, decoded the same way whenever it is asked for: the key of the cache."""

    path: str
    start: float
    duration: float
    columns: tuple[int, ...]  # channels to average, as columns of the file
    sampling_rate: int


def load_audio(cut: Cut, sampling_rate: int, cache: AudioCache | None = None) -> np.ndarray:
    """The samples of a cut.

    Speed perturbation is applied after the conversion to ``sampling_rate``, so that a cache serves every speed.

    Args:
        cut: Any Lhotse cut with audio. A ``MonoCut`` gives its channel, a ``MultiCut`` the mean of its channels.
        sampling_rate: Hz, of the result; the file may have any other.
        cache: Keeps decoded audio (before speed perturbation) of cuts that read files; unbounded.

    Returns:
        (L,) float32, nominally in [-1, 1]; L is the cut's duration times ``sampling_rate``, rounded.

    Raises:
        AudioError: The file is missing, empty, corrupt, not as long as the manifest says, or has samples that are
            not finite.
    """
    if _is_sum(cut):
        return _load_sum(cut, sampling_rate, cache)
    transforms = _transforms(cut)
    if transforms is None:
        return _load_through_lhotse(cut, sampling_rate)
    segment = _segment(cut, transforms, sampling_rate)
    audio = None if cache is None else cache.get(segment)
    if audio is None:
        audio = _read_segment(segment, _file_duration(cut.recording, transforms), f"cut {cut.id}: {segment.path}")
        if cache is not None:
            audio.flags.writeable = False  # all epochs share it
            cache[segment] = audio
    for transform in transforms:
        if isinstance(transform, Speed):
            # soxr also here: Lhotse's torch convolution rounds differently with the number of threads, and so between
            # a worker process and the main one.
            audio = resample(audio, round(sampling_rate * transform.factor), sampling_rate)
    return _fit(audio, round(cut.duration * sampling_rate))


def _is_sum(cut: Cut) -> bool:
    """Whether a cut is nothing but others at their times, as ``append`` and ``pad`` make it."""
    return isinstance(cut, MixedCut) and not cut.transforms and all(track.snr is None for track in cut.tracks)


def _load_sum(cut: MixedCut, sampling_rate: int, cache: AudioCache | None) -> np.ndarray:
    audio = np.zeros(round(cut.duration * sampling_rate), dtype=np.float32)
    for track in cut.tracks:
        if not isinstance(track.cut, PaddingCut):
            begin = round(track.offset * sampling_rate)
            part = load_audio(track.cut, sampling_rate, cache)[: len(audio) - begin]
            audio[begin : begin + len(part)] += part
    return audio


def _transforms(cut: Cut) -> list[AudioTransform] | None:
    """The cut's transforms if it reads one file and only changes speed or rate, else None: Lhotse must load it.

    Lhotse's own ``Resample`` needs torchaudio or scipy and differs between them; here it is the rate conversion.
    """
    if not isinstance(cut, (MonoCut, MultiCut)) or cut.recording is None:
        return None
    if len(cut.recording.sources) != 1 or cut.recording.sources[0].type != "file" or cut.recording.has_video:
        return None
    transforms = [AudioTransform.from_dict(t) if isinstance(t, dict) else t for t in cut.recording.transforms or ()]
    return transforms if all(isinstance(t, (Speed, Resample)) for t in transforms) else None


def _segment(cut: MonoCut | MultiCut, transforms: Sequence[AudioTransform], sampling_rate: int) -> _Segment:
    """Where the cut's samples lie in the file, before any transform."""
    recording, start, duration = cut.recording, cut.start, cut.duration
    for transform in reversed(transforms):
        start, duration = transform.reverse_timestamps(start, duration, recording.sampling_rate)
    source = recording.sources[0]
    channels = [cut.channel] if isinstance(cut.channel, int) else cut.channel
    columns = tuple(source.channels.index(channel) for channel in channels)
    return _Segment(source.source, start, duration, columns, sampling_rate)


def _file_duration(recording: Recording, transforms: Sequence[AudioTransform]) -> float:
    """Seconds that the file lasts by the manifest, to half a sample of the perturbed recording."""
    return recording.duration * math.prod(t.factor for t in transforms if isinstance(t, Speed))


def _read_segment(segment: _Segment, file_duration: float, where: str) -> np.ndarray:
    """Decode, average channels, convert the rate: (L,) float32."""
    with _open(segment.path, where) as file:
        rate, seconds = file.samplerate, file.frames / file.samplerate
        if abs(seconds - file_duration) > DURATION_TOLERANCE and file.frames < _UNKNOWN_LENGTH:
            raise _wrong_duration(where, file_duration, seconds)
        try:
            file.seek(round(segment.start * rate))
            audio = file.read(round(segment.duration * rate), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _undecodable(where, error) from None
    if len(audio) < (segment.duration - DURATION_TOLERANCE) * rate:
        raise _wrong_duration(where, segment.duration, len(audio) / rate)
    if max(segment.columns) >= audio.shape[1]:
        raise _fail(where, "missing channel", f"expected {max(segment.columns) + 1}, got {audio.shape[1]}; {_REDO}")
    audio = _checked(audio[:, segment.columns], where)
    return _fit(resample(audio, rate, segment.sampling_rate), round(segment.duration * segment.sampling_rate))


_REDO = "restore the file, or prepare the manifest again from the files that are there"


def _wrong_duration(where: str, expected: float, got: float) -> AudioError:
    return _fail(where, "duration mismatch", f"expected {expected:.3f} s as in the manifest, got {got:.3f} s; {_REDO}")


def _undecodable(where: object, error: soundfile.LibsndfileError) -> AudioError:
    text = str(error.error_string).strip().rstrip(".")
    return _fail(where, "unreadable audio", f"{text}; {_REDO}")


def _open(path: str, where: object) -> soundfile.SoundFile:
    """Open for reading; what is wrong with a file is only looked at once opening has failed."""
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        if not Path(path).exists():
            raise _fail(where, "missing file", f"no such file; {_REDO}") from None
        if Path(path).stat().st_size == 0:
            raise _fail(where, "empty file", f"it has 0 bytes; {_REDO}") from None
        raise _undecodable(where, error) from None


def _checked(audio: np.ndarray, where: object) -> np.ndarray:
    """(L, C) as the mono (L,), if it has samples and all are finite."""
    if len(audio) == 0:
        raise _no_samples(where)
    mono = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)
    if not np.isfinite(mono).all():
        raise _not_finite(where, int(np.sum(~np.isfinite(mono))), len(mono))
    return mono


def _no_samples(where: object) -> AudioError:
    return _fail(where, "no samples", f"the file has a header and no audio; {_REDO}")


def _not_finite(where: object, number: int, total: int) -> AudioError:
    return _fail(where, "samples not finite", f"{number} of {total} are NaN or infinite; convert the file again")


def _fit(audio: np.ndarray, num_samples: int) -> np.ndarray:
    """Trim, or append zeros for the few samples that rounding and lossy coding cost."""
    if len(audio) >= num_samples:
        return audio[:num_samples]
    return np.pad(audio, (0, num_samples - len(audio)))


def _load_through_lhotse(cut: Cut, sampling_rate: int) -> np.ndarray:
    """Mixed cuts, commands, addresses, Shar archives, other transforms: whatever Lhotse can read."""
    where = f"cut {cut.id}"
    if not cut.has_recording:
        raise _fail(where, "no recording", "expected a cut with audio; prepare the manifest again with recordings")
    try:
        audio = cut.load_audio()
    except (AudioLoadingError, DurationMismatchError, OSError, ValueError, soundfile.LibsndfileError) as error:
        raise _fail(where, "unreadable audio", f"{str(error).splitlines()[0]}; {_REDO}") from error
    audio = _checked(audio.T, where)
    return _fit(resample(audio, cut.sampling_rate, sampling_rate), round(cut.duration * sampling_rate))


def resample(audio: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """Convert (L,) float32 from ``source_rate`` to ``target_rate`` Hz; about ``L * target / source`` samples."""
    if source_rate == target_rate:
        return np.ascontiguousarray(audio, dtype=np.float32)
    return soxr.resample(audio, source_rate, target_rate).astype(np.float32, copy=False)


class AudioFacts(NamedTuple):
    """What decoding a whole file has shown."""

    sampling_rate: int  # Hz
    num_samples: int
    num_channels: int


def examine(path: Path) -> AudioFacts:
    """Decode a whole file, a minute at a time, and refuse what training would stumble over.

    Raises:
        AudioError: It is missing, empty, corrupt, cut short, or has no samples, only zeros, or samples not finite.
    """
    num_samples, num_bad, silent = 0, 0, True
    with _open(str(path), path) as file:
        _check_riff_size(path)
        try:
            for block in file.blocks(60 * file.samplerate, dtype="float32", always_2d=True):
                num_samples += len(block)
                num_bad += int(np.sum(~np.isfinite(block).all(axis=1)))
                silent = silent and not block.any()
        except soundfile.LibsndfileError as error:
            raise _undecodable(path, error) from None
        facts = AudioFacts(file.samplerate, num_samples, file.channels)
    if num_samples == 0:
        raise _no_samples(path)
    if num_bad:
        raise _not_finite(path, num_bad, num_samples)
    if silent:
        raise _fail(path, "silence", "every sample is zero; record or convert it again")
    return facts


def _check_riff_size(path: Path) -> None:
    """libsndfile takes a wav that was cut short for a shorter one; its header knows better."""
    with open(path, "rb") as file:
        head = file.read(8)
    declared, size = int.from_bytes(head[4:8], "little") + 8, path.stat().st_size
    # Programs that write to a pipe cannot know the size, and leave nearly 2 or 4 GiB there.
    if head[:4] == b"RIFF" and size + 1 < declared < 0x7FFF0000:
        detail = f"cut short: expected {declared} bytes by its header, got {size}; record or copy it again"
        raise _fail(path, "unreadable audio", detail)


def read_audio(source: Path | str | bytes, sampling_rate: int) -> np.ndarray:
    """The samples of a whole file in any format that libsndfile, or else an ``ffmpeg`` on PATH, can decode.

    Args:
        source: A path, or the bytes of a file (an upload, the standard input).
        sampling_rate: Hz, of the result.

    Returns:
        (L,) float32 mono, the mean of the channels.

    Raises:
        AudioError: It is missing, empty, cut short, in a format that nothing here decodes, or has samples that are not
            finite.
    """
    where = "audio from bytes" if isinstance(source, bytes) else source
    _check_not_empty(source, where)
    if not isinstance(source, bytes):  # the bytes may come from a pipe, whose writer could only guess their number
        _check_riff_size(Path(source))
    try:
        audio, rate = soundfile.read(io.BytesIO(source) if isinstance(source, bytes) else source, always_2d=True)
    except soundfile.LibsndfileError as error:
        audio, rate = _decode_with_ffmpeg(source, sampling_rate, where, error)[:, None], sampling_rate
    return resample(_checked(audio.astype(np.float32, copy=False), where), rate, sampling_rate)


def _check_not_empty(source: Path | str | bytes, where: object) -> None:
    if isinstance(source, bytes):
        size = len(source)
    elif Path(source).is_file():
        size = Path(source).stat().st_size
    elif Path(source).is_dir():
        raise _fail(where, "not a recording", f"it is a directory; give its files, as in {Path(source)}/*.wav")
    else:
        raise _fail(where, "missing file", "no such file; check the path")
    if size == 0:
        raise _fail(where, "empty file", "it has 0 bytes; record or copy it again")


def _decode_with_ffmpeg(
    source: Path | str | bytes, sampling_rate: int, where: object, reason: soundfile.LibsndfileError
) -> np.ndarray:
    if shutil.which("ffmpeg") is None:
        text = str(reason.error_string).strip().rstrip(".")
        remedy = "convert it to wav, flac, ogg or mp3, or install ffmpeg, which reads nearly everything"
        raise _fail(where, "unreadable audio", f"{text}; {remedy}")
    if isinstance(source, bytes):
        with tempfile.NamedTemporaryFile() as file:  # no pipe: the index of an mp4 may stand at its end
            file.write(source)
            file.flush()
            return _run_ffmpeg(file.name, sampling_rate, where)
    return _run_ffmpeg(str(source), sampling_rate, where)


def _run_ffmpeg(path: str, sampling_rate: int, where: object) -> np.ndarray:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:a:0", "-ac", "1"]
    command += ["-ar", str(sampling_rate), "-f", "f32le", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise _fail(where, "unreadable audio", f"ffmpeg says: {lines[-1]}; check that the file holds audio")
    return np.frombuffer(done.stdout, dtype="<f4").copy()  # a view of bytes cannot be written to
