"""Numbers as people write them."""

from __future__ import annotations


def digits(value: float) -> str:
    """Four significant digits, without an exponent where people would write none."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.4g}" if abs(value) < 1000 else thousands(round(value))


def thousands(number: int) -> str:
    """A whole number in groups of three: ``12 345``, with narrow spaces that no line breaks at."""
    return f"{number:,}".replace(",", "\u202f")


def plural(number: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{thousands(number)} {noun}{'' if number == 1 else 's'}"


def percent(rate: float) -> str:
    """A fraction in per cent, as error rates are printed everywhere: two decimals."""
    return f"{100 * rate:.2f}"


def span(seconds: float) -> str:
    """A duration in the unit that fits it."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def short(value: float) -> str:
    """A tick's value in few characters: ``0``, ``0.05``, ``2.5k``, ``3M``, ``5e-4``."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.5g}{letter}"
    if value and abs(value) < 1e-3:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.6g}"
