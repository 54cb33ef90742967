from __future__ import annotations

import pytest

from speechkit.utils.utterances import UtteranceError, named


def test_an_error_about_an_utterance_names_its_place_and_where_ids_are_known_the_cut():
    with pytest.raises(UtteranceError, match="^utterance 1 of the batch: too short$"):
        raise UtteranceError(1, "too short")
    with pytest.raises(ValueError, match="^cut second: too short$"), named(["first", "second"]):
        raise UtteranceError(1, "too short")


def test_other_errors_pass():
    with pytest.raises(KeyError), named(["first"]):
        raise KeyError("first")
