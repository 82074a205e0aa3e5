"""JSON: a value, or an object of a class that says which fields it has."""

from typing import Any

from berth.annotations import Wanted
from berth.json_values import read_json, to_json
from berth.types.table import Schema, Type


def _load(path: Any, wish: Wanted) -> Any:
    value = read_json(path.read_text(encoding="utf-8"))
    return fit(value, wish)


def fit(value: Any, wish: Wanted) -> Any:
    """The value as what an annotation asks for; ValueError when it is something else."""
    if value is None and wish.optional:
        return None
    if wish.kind == "object":
        from berth.types.objects import to_object

        return to_object(value, wish.cls)
    if wish.kind == "list" and wish.item is not None and isinstance(value, list):
        return [fit(item, wish.item) for item in value]
    if wish.kind == "dict" and wish.item is not None and isinstance(value, dict):
        return {key: fit(item, wish.item) for key, item in value.items()}
    if wish.kind == "tuple" and isinstance(value, list):
        return tuple(value)
    expected = {"dict": dict, "list": list, "str": str}.get(wish.kind)
    if expected is not None and not isinstance(value, expected):
        raise ValueError(f"expected {wish.shown}, found {_named(value)}")
    if wish.kind == "scalar" and wish.cls is not None:
        return _scalar(value, wish)
    return value


def _scalar(value: Any, wish: Wanted) -> Any:
    if wish.cls is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wish.cls) or isinstance(value, bool) != (wish.cls is bool):
        raise ValueError(f"expected {wish.shown}, found {_named(value)}")
    return value


def _named(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _save(path: Any, value: Any) -> Schema:
    text = to_json(value)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    return None


JSON = Type(
    _load,
    _save,
    kinds=frozenset({"dict", "list", "tuple", "scalar", "str", "object"}),
    format="json",
    content_type="application/json",
)
