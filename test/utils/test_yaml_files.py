from __future__ import annotations

import pytest

from speechkit.utils.yaml_files import ConfigError, dump_yaml, parse_overrides, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1.5E+2", 150.0), ("-.5", -0.5), ("017", 17), ("no", "no"), ("on", "on"), ("1:30", "1:30"),
     ("2001-01-01", "2001-01-01"), ("null", None), ("~", None), ("true", True), ("0x1f", "0x1f"), ("", None),
     ("1_000", 1000), ("[1, a]", [1, "a"])],
)  # fmt: skip
def test_yaml_scalars_are_read_as_people_mean_them(text, value):
    parsed = parse_yaml(text, "x")
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("override", ["pet", "=3", "a..b=1", ".a=1"])
def test_a_malformed_override_is_an_error(override):
    with pytest.raises(ConfigError, match="expected an override like key.sub=value"):
        parse_overrides([override])


def test_base_files_are_inherited_and_the_files_own_values_win(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "root.yaml").write_text("pet: {name: dog, legs: 1, speed: 0.5}\ntext: root")
    (tmp_path / "sub" / "mid.yaml").write_text("base: ../root.yaml\npet: {legs: 2}")
    (tmp_path / "top.yaml").write_text("base: sub/mid.yaml\ntext: top")
    assert read_yaml(tmp_path / "top.yaml") == {"pet": {"name": "dog", "legs": 2, "speed": 0.5}, "text": "top"}


def test_bases_in_a_circle_are_an_error(tmp_path):
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"base: {base}.yaml")
    with pytest.raises(ConfigError, match="circle"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["", "null", "true", "1e-3", "017", "a: b", "ü", "1_0", "~", "- x", "# no"])
def test_text_that_looks_like_something_else_round_trips(text):
    assert parse_yaml(dump_yaml({"text": text, "more": [text]}), "x") == {"text": text, "more": [text]}
