"""Objects of dataclasses (and of pydantic's models) from the values of JSON or the cells of a table."""

import dataclasses
from typing import Any, Dict, Mapping

from berth.annotations import Wanted, wanted_by


def to_object(value: Any, cls: Any) -> Any:
    """An object of that class; ValueError says which field does not fit."""
    if hasattr(cls, "model_validate"):
        return cls.model_validate(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"a {cls.__name__} is made of an object with fields, not of {value!r}")
    from berth.types.json_type import fit

    return _build(value, cls, fit)


def to_rows(rows: Any, cls: Any) -> list:
    """Objects from the rows of a table, whose cells are texts."""
    return [_numbered(number, row, cls) for number, row in enumerate(rows, 1)]


def _numbered(number: int, row: Mapping[str, Any], cls: Any) -> Any:
    try:
        if hasattr(cls, "model_validate"):
            return cls.model_validate(row)
        return _build(row, cls, _from_text)
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from error


def _build(value: Mapping[str, Any], cls: Any, convert: Any) -> Any:
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    unknown = [name for name in value if name not in fields]
    if unknown:
        raise ValueError(f"a {cls.__name__} has no {', '.join(map(repr, unknown))}")
    missing = [
        name
        for name, field in fields.items()
        if name not in value and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"a {cls.__name__} needs {', '.join(map(repr, missing))}")
    wishes = wanted_by_class(cls)
    made: Dict[str, Any] = {}
    for name, item in value.items():
        try:
            made[name] = convert(item, wishes[name]) if name in wishes else item
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return cls(**made)


def wanted_by_class(cls: Any) -> Dict[str, Wanted]:
    """What the annotations of a dataclass's fields ask for."""
    return wanted_by(cls)


_BOOLEANS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


def _from_text(text: str, wish: Wanted) -> Any:
    if text == "" and wish.optional:
        return None
    if wish.cls is bool:
        if text not in _BOOLEANS:
            raise ValueError(f"expected true or false, found {text!r}")
        return _BOOLEANS[text]
    if wish.cls in (int, float):
        return wish.cls(text)
    return text
