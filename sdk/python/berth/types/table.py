"""Which types there are."""

import os
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional

from berth.annotations import Wanted

# What is known of a value that was written: columns and rows of a table, shape and element type of an array.
Schema = Optional[Mapping[str, Any]]


# A schema is for people and for lineage; more columns than that are told by their number.
COLUMNS_MAX = 500


def table_schema(columns: List[Dict[str, Any]], rows: int) -> Mapping[str, Any]:
    """In the words that all tables have in common."""
    if len(columns) <= COLUMNS_MAX:
        return {"columns": columns, "rows": rows}
    return {"columns": columns[:COLUMNS_MAX], "columnCount": len(columns), "rows": rows}


class UnfitValue(ValueError):
    """A sentence of its own about what cannot be read."""


class Type:
    """How values of a type are read and written.

    `load(path, wish)` gives what the wish asks for, `save(path, value)` writes and says what it knows of the value, and
    `kinds` are the kinds of annotations that it can fulfil; None for all of them.
    """

    def __init__(
        self,
        load: Callable[[Any, Wanted], Any],
        save: Callable[[Any, Any], Schema],
        *,
        kinds: Optional[FrozenSet[str]] = frozenset(),
        format: Optional[str] = None,  # noqa: A002
        content_type: Optional[str] = None,
        own: bool = False,
    ) -> None:
        self.load = load
        self.save = save
        self.kinds = kinds
        self.format = format
        self.content_type = content_type
        # Whether it is the step's code, whose errors are shown with their place in it.
        self.own = own

    def takes(self, wish: Wanted) -> bool:
        """Whether an annotation can be fulfilled."""
        return self.kinds is None or wish.kind in self.kinds


# The module of each type, which holds it under the name that is given here.
_MODULES = {
    "file": "path_types:FILE",
    "folder": "path_types:FOLDER",
    "json": "json_type:JSON",
    "text": "text_types:TEXT",
    "lines": "text_types:LINES",
    "bytes": "text_types:BYTES",
    "csv": "csv_type:CSV",
    "parquet": "parquet_type:PARQUET",
    "npy": "array_types:NPY",
    "npz": "array_types:NPZ",
    "pickle": "pickle_type:PICKLE",
}
_BY_ENDING = {"json": "json", "csv": "csv", "txt": "text", "parquet": "parquet", "npy": "npy", "npz": "npz", "pkl": "pickle"}

# Types that the step's own code has registered, by name.
OWN_TYPES: Dict[str, Type] = {}
# The types of values of these classes, for pipelines written in Python.
OWN_CLASSES: Dict[type, str] = {}


def type_named(name: str) -> Type:
    """The type of that name; LookupError with what to do when there is none."""
    if name in OWN_TYPES:
        return OWN_TYPES[name]
    if name in _MODULES:
        import importlib

        module, constant = _MODULES[name].split(":")
        return getattr(importlib.import_module(f"berth.types.{module}"), constant)
    if name.startswith("x-"):
        known = f"; registered are {', '.join(sorted(OWN_TYPES))}" if OWN_TYPES else ""
        raise LookupError(
            f"the type {name} is not registered{known}: call berth.register_type({name!r}, load=..., save=...) "
            "in the module of the function, or in one that it imports"
        )
    raise LookupError(f"there is no type {name!r}; choose one of {', '.join(_MODULES)}, or one of your own, such as x-name")


def type_of_path(path: Any) -> str:
    """`scores.json` is JSON, a folder a folder, and what has no well-known ending a file."""
    text = os.fspath(path)
    if text.endswith("/") or os.path.isdir(text):
        return "folder"
    ending = os.path.splitext(text)[1][1:].lower()
    return _BY_ENDING.get(ending, "file")
