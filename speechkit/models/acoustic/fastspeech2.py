"""FastSpeech 2 and FastPitch: FastSpeech that is told pitch and energy."""

from __future__ import annotations

from speechkit.models.acoustic.fastspeech import FastSpeech
from speechkit.models.acoustic.variances import VariedModel


class FastSpeech2(VariedModel, FastSpeech, name="fastspeech2"):
    """FastSpeech with predicted pitch and energy (Ren et al., 2021, arXiv:2006.04558; Lancucki, 2021, FastPitch,
    arXiv:2006.06873; of tokens also in Chien et al., 2021, arXiv:2103.04088, as ESPnet has it).

    Judge ``mel`` (l1), ``log_duration``, ``pitch`` and ``energy`` (mse). The defaults are FastPitch's way, tokens and
    convolutions; ``variance_level: frame`` with ``embedding: buckets`` for pitch and energy is the paper's.

    Differs from the paper: no continuous wavelet transform of the pitch, whose logarithm is predicted itself; pitch and
    energy are predicted from the same encodings; see also :class:`FastSpeech`.
    """

    class Config(VariedModel.Config, FastSpeech.Config):
        """Options of FastSpeech 2."""

    needs = VariedModel.needs
    gives = VariedModel.gives | FastSpeech.gives
    controls = VariedModel.controls
