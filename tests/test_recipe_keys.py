"""No key of a recipe goes or changes without being seen: all of them are written down in recipe_keys.txt.

After a change that is meant: `python -m tests.test_recipe_keys` writes the file anew.
"""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swath import config, plugins

RECORD = Path(__file__).with_name("recipe_keys.txt")
LIMITS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
    "minLength": "length >=",
    "maxLength": "length <=",
    "minItems": "items >=",
    "maxItems": "items <=",
    "minProperties": "keys >=",
    "maxProperties": "keys <=",
    "pattern": "like",
}


def record(schema: dict[str, Any]) -> str:
    """A block for the recipe and one for each section that it may hold: keys with their types, limits and defaults."""
    sections = {called(name): section for name, section in schema["$defs"].items()}
    blocks = [["recipe", *lines_of(schema, sections)]]
    blocks += [[name, *lines_of(sections[name], sections)] for name in sorted(sections)]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def called(definition: str) -> str:
    """A section by its class, or by the kind and name of its plug-in, wherever the file of that stands."""
    module = definition.replace("___", "__").replace("__", ".")
    # the innermost package: encodings of locations stand below the encoders
    for kind, package in sorted(plugins.PACKAGES.items(), key=lambda one: -len(one[1])):
        if module.startswith(f"{package}."):
            return f"{kind}:{module.removesuffix('.Config').removesuffix('.build').rpartition('.')[2]}"
    return module


def lines_of(section: dict[str, Any], sections: dict[str, Any]) -> Iterator[str]:
    """Of each key, what it may be, a line for each section or word that it may be; and its default."""
    for key, value in sorted(section.get("properties", {}).items()):
        choices = sorted(choices_of(value))
        named = [choice for choice, is_named in choices if is_named]
        plain = [choice for choice, is_named in choices if not is_named]
        lines = [*([" | ".join(plain)] if plain else []), *named]
        default = "" if key in section.get("required", ()) else default_of(value, sections)
        if len(lines) == 1 or not default:
            yield from (f"  {key}: {line}{default}" for line in lines)
        else:
            yield from (f"  {key}: {line}" for line in lines)
            yield f"  {key}{default}"


def default_of(value: dict[str, Any], sections: dict[str, Any]) -> str:
    return f" = {json.dumps(departing(value, sections))}" if "default" in value else " (optional)"


def choices_of(value: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """What a value may be, and whether that is named: a section or a word."""
    if "$ref" in value:
        yield called(value["$ref"].rpartition("/")[2]), True
    elif "const" in value or "enum" in value:
        yield from ((json.dumps(one), True) for one in value.get("enum", [value.get("const")]))
    elif "anyOf" in value or "oneOf" in value:
        for choice in value.get("anyOf", value.get("oneOf")):
            yield from choices_of(choice)
    else:
        limits = ", ".join(f"{sign} {value[name]}" for name, sign in LIMITS.items() if name in value)
        yield from ((f"{shape} ({limits})" if limits else shape, named) for shape, named in shapes_of(value))


def shapes_of(value: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    kind = value.get("type", "anything")
    if "prefixItems" in value:
        yield f"[{', '.join(any_of(one) for one in value['prefixItems'])}]", False
    elif kind == "array":
        yield from ((f"[{one} ...]", named) for one, named in choices_of(value.get("items", {})))
    elif kind == "object" and isinstance(value.get("additionalProperties"), dict):
        yield from ((f"{{*: {one}}}", named) for one, named in choices_of(value["additionalProperties"]))
    else:
        yield value.get("format", kind), False


def any_of(value: dict[str, Any]) -> str:
    return " | ".join(choice for choice, _ in choices_of(value))


def departing(value: dict[str, Any], sections: dict[str, Any]) -> Any:
    """A default; of a section, only what is not its own keys' default."""
    default = value["default"]
    if "$ref" not in value or not isinstance(default, dict):
        return default
    keys = sections[called(value["$ref"].rpartition("/")[2])]["properties"]
    return {key: one for key, one in default.items() if "default" not in keys[key] or keys[key]["default"] != one}


def test_the_keys_of_recipes_are_those_that_are_written_down():
    written, now = RECORD.read_text().splitlines(), record(config.schema()).splitlines()
    changes = [line for line in difflib.ndiff(written, now) if line[0] in "+-"]
    gone = [line[2:].strip() for line in changes if line[0] == "-"]
    assert not gone, "recipes that people have would be refused or mean something else: keep the key, or an alias of it"
    assert not changes, "new keys: write them down by `python -m tests.test_recipe_keys`"


def test_a_key_that_goes_or_takes_another_type_is_seen():
    section = {"properties": {"seed": {"type": "integer", "minimum": 0, "default": 0}}}
    split = {"$ref": "#/$defs/Split", "default": {"seed": 0}}
    schema = {"properties": {"split": split}, "$defs": {"Split": section}}
    assert record(schema) == "recipe\n  split: Split = {}\n\nSplit\n  seed: integer (>= 0) = 0\n"
    section["properties"]["seed"] = {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}], "default": None}
    assert '  seed: null\n  seed: "a"\n  seed: "b"\n  seed = null' in record(schema)
    del section["properties"]["seed"], split["default"]
    assert "seed" not in record(schema)


if __name__ == "__main__":
    RECORD.write_text(record(config.schema()))
