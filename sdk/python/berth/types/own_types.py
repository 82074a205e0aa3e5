"""Types of artifacts that the step's own code brings."""

import re
from typing import Any, Callable, Mapping, Optional

from berth.annotations import Wanted
from berth.types.table import OWN_CLASSES, OWN_TYPES, Schema, Type

_NAME = re.compile(r"x-[a-z0-9][a-z0-9._-]{0,59}")


def register_type(
    name: str,
    *,
    load: Callable[[Any], Any],
    save: Callable[[Any, Any], None],
    describe: Optional[Callable[[Any], Optional[Mapping[str, Any]]]] = None,
    content_type: Optional[str] = None,
    python_type: Optional[type] = None,
) -> None:
    """Makes a type known, whose name begins with `x-`, as pipeline files use it: `outputs: { scan: { type: x-scan } }`.

    `load(path)` gives the value of the file or folder at a path, `save(path, value)` writes it there; nothing is there
    before, and it may be written as a file or as a folder. `describe(value)` gives what is worth keeping as metadata, such
    as `{"width": 640}`. With `python_type`, annotations of that class stand for this type.

    Call it in the module of the step's function, or in one that it imports.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a type of your own is called x-name, in small letters, digits, '.', '_' and '-', not {name!r}")

    def load_own(path: Any, wish: Wanted) -> Any:
        return load(path)

    def save_own(path: Any, value: Any) -> Schema:
        if python_type is not None and not isinstance(value, python_type):
            raise TypeError(f"the type {name} is for {python_type.__name__}, not for {type(value).__name__}")
        save(path, value)
        return None if describe is None else describe(value)

    OWN_TYPES[name] = Type(load_own, save_own, kinds=None, format=name, content_type=content_type, own=True)
    if python_type is not None:
        OWN_CLASSES[python_type] = name
