"""Typed configs: pydantic models from YAML files and dotted overrides, and a registry of components.

A component (an encoder, an objective, a schedule ...) nests its ``Config``; subclassing a *kind* registers it::

    class Encoder(nn.Module, Component, kind="encoder"): ...

    class Conformer(Encoder, name="conformer"):
        class Config(Encoder.Config):
            dim: int = 256
            \"\"\"Model dimension D.\"\"\"

        def __init__(self, config: Config, in_dim: int) -> None: ...

YAML picks it with ``encoder: {name: conformer, dim: 256}``, a field takes it as ``encoder: Choice[Encoder]``, and
``config.encoder.build(in_dim=80)`` makes the module from the config and the facts that only the run knows.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import ConfigDict, PlainValidator, SerializeAsAny
from pydantic_core import InitErrorDetails, PydanticCustomError

from speechkit.utils.files import atomic_write
from speechkit.utils.yaml_files import ConfigError, dump_yaml, merge, parse_overrides, parse_yaml, read_yaml

KINDS: dict[str, type[Component]] = {}


class Config(pydantic.BaseModel):
    """Base of all configs: frozen, strict (``true`` is no int, ``"3"`` no number), unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ComponentConfig(Config):
    """Config of a registered component; ``name`` says which."""

    name: str = ""
    component: ClassVar[type[Component]]

    def build(self, **facts: Any) -> Any:
        """Make the component from this config and the runtime ``facts`` that no config can know (input sizes ...)."""
        return self.component(self, **facts)


class Component:
    """Mixin for everything that YAML can choose by ``name``. ``kind=`` opens a registry, ``name=`` enters it."""

    kind: ClassVar[str]
    registry: ClassVar[dict[str, type[Component]]]
    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init_subclass__(cls, kind: str | None = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if kind is not None:
            cls.kind, cls.registry = kind, {}
            KINDS[kind] = cls
        if name is not None:
            known = cls.registry.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ConfigError(f"{cls.kind} {name!r} is defined twice: in {known.__module__} and {cls.__module__}")
            cls.registry[name] = cls
            cls.Config = pydantic.create_model(  # type: ignore[call-overload]
                f"{cls.__name__}.Config",
                __base__=cls.Config,
                __module__=cls.__module__,
                __doc__=cls.Config.__doc__,
                name=(Literal[name], name),  # type: ignore[valid-type]
            )
            cls.Config.component = cls


class Choice:
    """``Choice[Encoder]`` is the field type for "any registered encoder's config"."""

    def __class_getitem__(cls, kind: type[Component]) -> Any:
        def resolve(value: Any) -> Any:
            if isinstance(value, ComponentConfig):
                return value
            if isinstance(value, str):  # `optimizer: adamw` is short for `optimizer: {name: adamw}`
                value = {"name": value}
            if not isinstance(value, dict):
                raise PydanticCustomError(
                    "not_a_choice", "expected a mapping with a name, got {got}", {"got": repr(value)}
                )
            return _validate(lookup(kind, value.get("name")).Config, value)

        return Annotated[SerializeAsAny[kind.Config], PlainValidator(resolve)]


def lookup(kind: type[Component], name: Any) -> type[Component]:
    """The class registered under ``name``; an unknown one is an error that lists the choices."""
    if name in kind.registry:
        return kind.registry[name]
    choices = ", ".join(sorted(kind.registry))
    if name is None:
        message = f"name: expected which {kind.kind} it is, got none; choices: {choices}"
        raise PydanticCustomError("unknown_name", "{message}", {"message": message})
    near = difflib.get_close_matches(str(name), kind.registry, n=1)
    hint = f", did you mean {near[0]!r}" if near else ""
    message = f"no {kind.kind} is called {name!r}{hint}; choices: {choices}; one of your own needs --import FILE.py"
    raise PydanticCustomError("unknown_name", "{message}", {"message": message})


def import_submodules(package: str, path: Sequence[str]) -> None:
    """Import every module of ``package`` so that its components register: a new one needs a file and nothing else."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def _validate(cls: type[Config], raw: Mapping[str, Any]) -> Config:
    if unknown := list(_unknown_keys(cls, raw, ())):
        raise pydantic.ValidationError.from_exception_data(cls.__name__, unknown)
    return cls.model_validate_json(json.dumps(_with_default_names(cls, raw)))  # JSON: lists may become tuples


def _unknown_keys(cls: type[Config], raw: Mapping[str, Any], loc: tuple[str, ...]) -> Iterator[InitErrorDetails]:
    for key, value in raw.items():
        if key not in cls.model_fields:
            near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
            error = PydanticCustomError("unknown_key", "unknown key", {"near": near, "keys": sorted(cls.model_fields)})
            yield InitErrorDetails(type=error, loc=(*loc, str(key)), input=value)
        elif (nested := _plain_config(cls, key)) and isinstance(value, Mapping):
            yield from _unknown_keys(nested, value, (*loc, key))


def _with_default_names(cls: type[Config], raw: Mapping[str, Any]) -> dict[str, Any]:
    """``encoder.dim=64`` alone means the default encoder: give the mapping its name.

    In a dict of choices an entry that is null goes out, so that a file can drop what its base has.
    """
    filled = dict(raw)
    for key, value in raw.items():
        default = cls.model_fields[key].default
        if not isinstance(value, Mapping):
            continue
        if isinstance(default, ComponentConfig):
            filled[key] = _named(value, default)
        elif _is_dict_of_choices(cls.model_fields[key].annotation):
            defaults = default if isinstance(default, dict) else {}
            filled[key] = {name: _named(each, defaults.get(name)) for name, each in value.items() if each is not None}
        elif nested := _plain_config(cls, key):
            filled[key] = _with_default_names(nested, value)
    return filled


def _named(value: Any, default: ComponentConfig | None) -> Any:
    return {"name": default.name, **value} if default is not None and isinstance(value, Mapping) else value


def _is_dict_of_choices(annotation: Any) -> bool:
    """Whether a field is a ``dict[str, Choice[...]]``."""
    if typing.get_origin(annotation) is not dict:
        return False
    held = typing.get_args(typing.get_args(annotation)[1])  # Choice makes Annotated[config class, ...]
    return bool(held) and isinstance(held[0], type) and issubclass(held[0], ComponentConfig)


def _plain_config(cls: type[Config], key: str) -> type[Config] | None:
    """The class of a field that nests one fixed config (or null), not a choice among components."""
    for annotation in (cls.model_fields[key].annotation, *typing.get_args(cls.model_fields[key].annotation)):
        if isinstance(annotation, type) and issubclass(annotation, Config):
            return None if issubclass(annotation, ComponentConfig) else annotation
    return None


def validate(cls: type[Config], raw: Mapping[str, Any], source: str = "config") -> Config:
    """Build ``cls`` from plain values, or raise a :class:`ConfigError` that lists every wrong key with a remedy."""
    try:
        return _validate(cls, raw)
    except pydantic.ValidationError as error:
        problems = [_explain(problem, cls) for problem in error.errors()]
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from None


WORDING = {
    "Input should be": "expected",
    "a valid array": "a list such as [a, b]",
    "an object": "keys and values such as {key: 1}",
    "a valid boolean": "true or false",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid string": "text",
}
"""pydantic's words, which are those of JSON, in the words of YAML."""


def _explain(problem: Any, root: type[Config]) -> str:
    loc = [str(part) for part in problem["loc"]]
    context = problem.get("ctx", {})
    if problem["type"] == "unknown_key":
        places = [key for key, *_ in walk(root) if key.split(".")[-1] == loc[-1]]
        guesses = [".".join([*loc[:-1], near]) for near in context["near"]] or places[:3]
        guesses = [guess for guess in guesses if guess != ".".join(loc)]  # a key that another choice has
        hint = f"did you mean {' or '.join(guesses)}?" if guesses else f"there are: {', '.join(context['keys'])}"
        return f"{'.'.join(loc)}: unknown key; {hint}"
    message = problem["msg"]
    for theirs, ours in WORDING.items():
        message = message.replace(theirs, ours)
    if problem["type"] == "value_error":  # raised by a config itself, which names its own field but not where it is
        message = message.removeprefix("Value error, ")
        inner = bool(re.match(r"[a-z_]+(\.[a-z_]+)*: ", message))
        return ".".join([*loc, message]) if inner else f"{'.'.join(loc) or 'config'}: {message}"
    if problem["type"] != "unknown_name" and not isinstance(problem["input"], (dict, list)):
        message += f", got {problem['input']!r}"
    return f"{'.'.join(loc) or 'config'}: {message}"


def walk(cls: type[Config], prefix: str = "", given: Config | None = None) -> Iterator[tuple[str, Any, type[Config]]]:
    """Every dotted key of a config class, with its default and the class it is a field of.

    A choice is walked through its default, whose options are as ``given`` there. What has no default has
    ``PydanticUndefined``.
    """
    for key, field in cls.model_fields.items():
        default = getattr(given, key) if given else field.get_default(call_default_factory=True)
        yield f"{prefix}{key}", default, cls
        if isinstance(default, Config):
            yield from walk(type(default), f"{prefix}{key}.", default)
        elif nested := _plain_config(cls, key):
            yield from walk(nested, f"{prefix}{key}.")


@functools.cache
def documentation(cls: type[Config]) -> dict[str, str]:
    """The docstrings under the fields of a config class, its bases' included.

    Read from the source only when somebody asks: pydantic's own ``use_attribute_docstrings`` would read it for every
    class at import, which takes seconds.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, Config):
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        except (OSError, TypeError):  # made by create_model: no source of its own
            continue
        for field, text in zip(body, body[1:]):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def load(cls: type[Config], path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read ``path`` (and its bases), apply dotted ``overrides``, validate as ``cls``."""

    def read(overrides: Sequence[str]) -> Config:
        return validate(cls, merge(read_yaml(Path(path)), parse_overrides(overrides)), source=str(path))

    check_removals(read, path, overrides)
    return read(overrides)


def check_removals(read: Callable[[Sequence[str]], Config], path: Path | str, overrides: Sequence[str]) -> None:
    """Refuse an override ``objectives.cct=null`` that takes out what is not there: it is a typo, and would pass unseen.

    A file may drop what its base does not have, since one file is laid over many configs.

    Args:
        read: Makes the config of overrides.
        path: The file that it reads.
        overrides: To be checked.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or parse_yaml(text, override) is not None:
            continue
        try:
            before = read([each for each in overrides if each != override])
        except ConfigError:  # what it takes out may be what is wrong
            continue
        _check_removal(key, before, path)


def _check_removal(key: str, config: Config, path: Path | str) -> None:
    parent, _, entry = key.rpartition(".")
    defaults = {each: default for each, default, _ in walk(type(config))}
    there = {**_mapping(defaults.get(parent)), **_mapping(_at(config.model_dump(), parent))}
    if entry not in there:
        near = [f"{parent}.{name}".lstrip(".") for name in difflib.get_close_matches(entry, there, n=1)]
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(there) or 'none'}"
        raise ConfigError(f"{path}: {key}: expected a key that is there, for null to take out, got {entry!r}; {hint}")


def _at(tree: Any, key: str) -> Any:
    """What lies at a dotted key, if anything does; the tree itself at the empty one."""
    for part in key.split(".") if key else ():
        tree = _mapping(tree).get(part)
    return tree


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def dump(config: Config) -> str:
    """The resolved config, defaults included, as YAML that loads back to an equal config."""
    return dump_yaml(config.model_dump(mode="json"))


def save(config: Config, path: Path) -> None:
    """Write :func:`dump` atomically."""
    with atomic_write(path) as file:
        file.write(dump(config))


def changed(config: Config) -> dict[str, Any]:
    """The options of a config that are not their defaults."""
    defaults = {key: field.get_default(call_default_factory=True) for key, field in type(config).model_fields.items()}
    return {key: getattr(config, key) for key, default in defaults.items() if getattr(config, key) != default}


def inline(value: Any) -> str:
    """A value in one line, as an override would have it; of configs only what is :func:`changed`."""
    if isinstance(value, ComponentConfig):
        options = changed(value)
        value = {"name": value.name, **options} if options else value.name
    if isinstance(value, Config):
        value = changed(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value) if value in (None, "") or isinstance(value, bool) else str(value)


def differences(old: Config, new: Config) -> list[str]:
    """Dotted keys at which two configs differ, as ``key: old -> new`` lines."""
    return list(_differences(old.model_dump(mode="json"), new.model_dump(mode="json"), ""))


def _differences(old: Any, new: Any, prefix: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
    elif old != new:
        yield f"{prefix}: {old!r} -> {new!r}"
