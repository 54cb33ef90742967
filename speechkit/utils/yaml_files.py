"""YAML files of configs: numbers as people write them, a ``base:`` key, and dotted overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml


class ConfigError(ValueError):
    """A config that cannot be used; the message names the file, the dotted key and the remedy."""


class _Loader(yaml.SafeLoader):
    """YAML with numbers and booleans as people write them: ``1e-3`` is a float; ``no``, ``on`` and ``1:30`` are text."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is written twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9][0-9_]*$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:(?:[0-9][0-9_]*\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.inf|\.nan)$"),
    list("-+.0123456789"),
)
# PyYAML reads 017 as octal and `1e-3` has no dot, which its own float constructor accepts; ints are read in base 10.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node), 10))


class _Dumper(yaml.SafeDumper):
    """Quotes what :class:`_Loader` would read as something else, so that dump and load round-trip."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def parse_yaml(text: str, source: str) -> Any:
    """Read a text; errors name its ``source``."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from None


def dump_yaml(value: Any) -> str:
    """A text that :func:`parse_yaml` reads as the same."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file and, first, the file its ``base:`` key names (relative to it); the file's own values win."""
    return _read_with_bases(Path(path), ())


def _read_with_bases(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(f"{path}: `base:` goes in a circle through {', '.join(p.name for p in seen)}")
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        by = f" (named by `base:` in {seen[-1]})" if seen else ""
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{path}: cannot read the config{by}: {reason}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, got {type(raw).__name__}")
    base = raw.pop("base", None)
    return raw if base is None else merge(_read_with_bases(path.parent / base, (*seen, path.resolve())), raw)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` over it, key by key; changing a ``name`` drops the old choice's options."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(value, dict) and "name" not in value:
            old = {"name": old}  # the short form `optimizer: adamw`, then `optimizer.lr=1e-3`
        if isinstance(old, Mapping) and isinstance(value, Mapping) and value.get("name", old.get("name")) == old.get("name"):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Turn ``["encoder.dim=64", "train.epochs=3"]`` into a nested mapping; values are YAML.

    An override may also be a ``.yaml`` file of keys to change; what comes later wins.
    """
    tree: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals and override.endswith(".yaml"):
            tree = merge(tree, read_yaml(Path(override)))
            continue
        if not equals or not key or any(not part for part in key.split(".")):
            raise ConfigError(f"{override!r}: expected an override like key.sub=value, or a .yaml file of them")
        *parents, leaf = key.split(".")
        node = tree
        for parent in parents:
            if not isinstance(node.get(parent), dict):  # `pet=fish pet.fins=3`: the short form, then its options
                node[parent] = {"name": node[parent]} if isinstance(node.get(parent), str) else {}
            node = node[parent]
        node[leaf] = parse_yaml(text, override)
    return tree
