from __future__ import annotations

import pytest

from speechkit import config as configs
from speechkit.config import Choice, Component, ComponentConfig, Config, ConfigError


class Animal(Component, kind="test_animal"):
    def __init__(self, config, **facts):
        self.config, self.facts = config, facts


class Dog(Animal, name="dog"):
    """Barks."""

    class Config(ComponentConfig):
        legs: int = 4
        """How many."""
        speed: float = 1e-3
        sizes: tuple[int, ...] = (1, 2)


class Fish(Animal, name="fish"):
    class Config(ComponentConfig):
        fins: int = 2


class Inner(Config):
    depth: int = 1
    animal: Choice[Animal] = Fish.Config()


class Zoo(Config):
    pet: Choice[Animal] = Dog.Config()
    """The one at home."""
    inner: Inner = Inner()
    many: dict[str, Choice[Animal]] = {}
    herd: dict[str, Choice[Animal]] = {"first": Dog.Config(), "second": Fish.Config(fins=5)}
    maybe: Inner | None = None
    text: str = "x"
    flag: bool = False


def load(tmp_path, yaml, *overrides):
    (tmp_path / "a.yaml").write_text(yaml, encoding="utf-8")
    return configs.load(Zoo, tmp_path / "a.yaml", overrides)


def test_a_choice_is_built_with_its_options_and_the_facts_of_the_run(tmp_path):
    zoo = load(tmp_path, "pet: {name: fish, fins: 7}")
    pet = zoo.pet.build(water=3)
    assert type(pet) is Fish and pet.config.fins == 7 and pet.facts == {"water": 3}


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("pet: {name: dog, leg: 3}", "a.yaml: pet.leg: unknown key; did you mean pet.legs?"),
        ("legs: 3", "a.yaml: legs: unknown key; did you mean pet.legs?"),
        ("inner: {dept: 3}", "a.yaml: inner.dept: unknown key; did you mean inner.depth?"),
        ("inner: {animal: {name: fish, legs: 2}}", "inner.animal.legs: unknown key; did you mean pet.legs?"),
        ("pet: {name: fish, legs: 2}", "a.yaml: pet.legs: unknown key; there are: fins, name"),
        ("many: {a: {name: dog, legz: 1}}", "many.a.legz: unknown key; did you mean many.a.legs?"),
        ("herd: {first: {legz: 1}}", "herd.first.legz: unknown key; did you mean herd.first.legs?"),
        ("herd: {first: {name: dgo}}", "herd.first: no test_animal is called 'dgo', did you mean 'dog'; choices: dog, fish"),
        ("herd: {first: 3}", "herd.first: expected a mapping with a name, got 3"),
        ("herd: null", "herd: expected keys and values such as {key: 1}, got None"),
        ("pet: null", "pet: expected a mapping with a name, got None"),
        ("maybe: {dept: 1}", "maybe.dept: unknown key; did you mean maybe.depth?"),
        ("pet: {name: dgo}", "pet: no test_animal is called 'dgo', did you mean 'dog'; choices: dog, fish"),
        ("pet: {name: dog, legs: true}", "pet.legs: expected an integer, got True"),
        ("pet: {name: dog, legs: 3.5}", "pet.legs: expected an integer, got 3.5"),
        ('pet: {name: dog, legs: "3"}', "pet.legs: expected an integer, got '3'"),
        ("flag: 1", "flag: expected true or false, got 1"),
        ("sizes: 3", "unknown key"),
        ("pet: {name: dog, sizes: 3}", "pet.sizes: expected a list such as [a, b], got 3"),
        ("text: 3", "text: expected text, got 3"),
        ("pet: 3", "pet: expected a mapping with a name, got 3"),
        ("a: [1", "a.yaml:1: not valid YAML"),
        ("- 1", "a.yaml: expected a mapping of keys, got list"),
        ("flag: true\nflag: false", "key 'flag' is written twice"),
        ("base: other.yaml", "other.yaml: cannot read the config (named by `base:` in"),
        ("text: !!python/object:os.system x", "not valid YAML"),
    ],
)
def test_a_wrong_config_is_an_error_that_names_the_key_and_the_remedy(tmp_path, yaml, message):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, yaml)
    assert message in str(error.value)


def test_every_wrong_key_is_listed_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "flag: 1\ntext: 3")
    assert len(str(error.value).splitlines()) == 2


def test_overrides_are_yaml_values_at_dotted_keys(tmp_path):
    zoo = load(tmp_path, "text: y", "pet.legs=3", "pet.speed=1e-4", "pet.sizes=[5, 7]", "inner.depth=2", "text=no")
    assert (zoo.pet.legs, zoo.pet.speed, zoo.pet.sizes, zoo.inner.depth, zoo.text) == (3, 1e-4, (5, 7), 2, "no")


@pytest.mark.parametrize("order", [1, -1])
def test_changing_the_name_drops_the_old_choices_options(tmp_path, order):
    zoo = load(tmp_path, "pet: {name: dog, legs: 3}", *["pet.name=fish", "pet.fins=9"][::order])
    assert zoo.pet == Fish.Config(fins=9)


def test_a_name_alone_is_short_for_a_mapping(tmp_path):
    assert load(tmp_path, "pet: fish").pet == Fish.Config()
    assert load(tmp_path, "pet: fish", "pet.fins=3").pet == Fish.Config(fins=3)
    assert load(tmp_path, "text: y", "pet=fish", "pet.fins=3").pet == Fish.Config(fins=3)


@pytest.mark.parametrize("path", ["herd", "inner.herd"])
def test_an_option_of_a_named_choice_alone_means_the_default_of_that_name(tmp_path, path):
    class Farm(Config):
        herd: dict[str, Choice[Animal]] = {"first": Dog.Config()}
        inner: Zoo = Zoo()

    (tmp_path / "a.yaml").write_text("{}")
    farm = configs.load(Farm, tmp_path / "a.yaml", [f"{path}.first.legs=3"])
    assert (farm.herd if path == "herd" else farm.inner.herd) == {"first": Dog.Config(legs=3)}


def test_null_takes_a_named_choice_out(tmp_path):
    (tmp_path / "base.yaml").write_text("herd: {first: {name: dog, legs: 3}, second: fish}\nmaybe: {depth: 2}")
    rest = {"second": Fish.Config()}
    assert load(tmp_path, "base: base.yaml\nherd: {first: null}").herd == rest
    assert load(tmp_path, "base: base.yaml", "herd.first=null").herd == rest
    assert load(tmp_path, "base: base.yaml", "herd.first=null", "herd.third=fish").herd == {**rest, "third": Fish.Config()}
    again = load(tmp_path, "base: base.yaml\nherd: {first: null}", "herd.first.legs=7")
    assert again.herd == {"first": Dog.Config(legs=7), **rest}
    assert load(tmp_path, "base: base.yaml", "maybe=null").maybe is None
    assert load(tmp_path, "many: {a: null}").many == {}
    zoo = load(tmp_path, "base: base.yaml", "herd.first=null")
    configs.save(zoo, tmp_path / "saved.yaml")
    assert configs.load(Zoo, tmp_path / "saved.yaml") == zoo


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("herd.frist=null", "herd.frist: expected a key that is there, for null to take out, got 'frist'; did you mean herd.first"),
        ("herd.xyz=null", "there are: first, second"),
        ("serach=null", "a.yaml: serach: expected a key that is there, for null to take out, got 'serach'; there are: pet,"),
        ("flga=null", "did you mean flag?"),
        ("many.a=", "many.a: expected a key that is there, for null to take out, got 'a'; there are: none"),
    ],
)
def test_an_override_cannot_take_out_what_is_not_there_but_a_file_can(tmp_path, override, hint):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "herd: {first: dog, second: fish}", override)
    assert hint in str(error.value)
    layer = tmp_path / "layer.yaml"
    layer.write_text("herd: {frist: null}\nmany: {a: null}")
    assert load(tmp_path, "herd: {first: dog}", str(layer)) == load(tmp_path, "herd: {first: dog}")


def test_an_override_can_take_out_what_is_there_by_default_or_by_another_layer(tmp_path):
    layer = tmp_path / "layer.yaml"
    layer.write_text("many: {a: dog, b: fish}")
    assert load(tmp_path, "{}", str(layer), "many.a=null").many == {"b": Fish.Config()}
    assert load(tmp_path, "{}", "herd.first=null", "herd.third=fish").herd == {"third": Fish.Config()}
    assert load(tmp_path, "maybe: {depth: 2}", "maybe=null").maybe is None
    assert load(tmp_path, "{}", "maybe=null").maybe is None  # an option, which null is a value of


def test_a_file_among_the_overrides_changes_its_keys_and_what_comes_later_wins(tmp_path):
    layer = tmp_path / "layer.yaml"
    layer.write_text("pet: {name: dog, legs: 7}\ntext: layer")
    zoo = load(tmp_path, "pet: fish\ntext: file", "text=before", str(layer), "pet.speed=0.25")
    assert zoo.pet == Dog.Config(legs=7, speed=0.25) and zoo.text == "layer"
    with pytest.raises(ConfigError, match="absent.yaml"):
        load(tmp_path, "{}", "absent.yaml")


def test_a_saved_config_holds_all_defaults_and_loads_back_equal(tmp_path):
    zoo = load(tmp_path, "pet: {name: dog, speed: 1e-12}\ntext: 'no'\nmany: {ü: fish, b: {name: dog, legs: 1}}")
    configs.save(zoo, tmp_path / "saved.yaml")
    assert configs.load(Zoo, tmp_path / "saved.yaml") == zoo
    assert "depth: 1" in (tmp_path / "saved.yaml").read_text()


def test_configs_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Zoo().text = "y"


def test_differences_are_dotted_lines():
    lines = configs.differences(Zoo(), Zoo(pet=Dog.Config(legs=3), text="y"))
    assert lines == ["pet.legs: 4 -> 3", "text: 'x' -> 'y'"]


def test_two_components_of_one_name_are_an_error_but_reloading_a_file_is_not():
    with pytest.raises(ConfigError, match="defined twice"):

        class Other(Animal, name="dog"):
            pass

    assert Animal.registry["dog"] is Dog


def test_walking_a_config_gives_every_dotted_key_with_its_meaning():
    owners = {key: owner for key, _, owner in configs.walk(Zoo)}
    assert {"pet.legs", "inner.depth", "inner.animal.fins"} <= owners.keys()
    assert configs.documentation(owners["pet"])["pet"] == "The one at home."
    assert configs.documentation(owners["pet.legs"])["legs"] == "How many."


def test_walking_gives_the_defaults_that_hold_where_a_choice_is_nested():
    class Farm(Config):
        pet: Choice[Animal] = Dog.Config(legs=3)
        zoo: Inner = Inner(animal=Fish.Config(fins=9))

    defaults = {key: default for key, default, _ in configs.walk(Farm)}
    assert (defaults["pet.legs"], defaults["pet.speed"], defaults["zoo.animal.fins"]) == (3, 1e-3, 9)


def test_values_in_a_line_are_yaml_and_of_configs_what_is_no_default(tmp_path):
    zoo = Zoo(pet=Dog.Config(legs=3, sizes=(5, 7)), many={"a": Fish.Config(), "b": Fish.Config(fins=1)}, text="", flag=True)
    parts = "pet: {name: dog, legs: 3, sizes: [5, 7]}", "many: {a: fish, b: {name: fish, fins: 1}}", 'text: ""', "flag: true"
    assert configs.inline(zoo) == "{" + ", ".join(parts) + "}"
    assert configs.inline(None) == "null" and configs.inline(Dog.Config()) == "dog" and configs.inline(Zoo()) == "{}"
