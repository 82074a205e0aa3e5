"""What an annotation asks for: the kind of value that a function wants, told without importing any library."""

import inspect
import typing
from typing import Any, Dict, Optional, Tuple

# Classes of libraries by their package and name: an annotation that names one means that the library is imported.
_LIBRARY_KINDS = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars-lazy",
    ("pyarrow", "Table"): "arrow",
    ("numpy", "ndarray"): "numpy",
    ("torch", "Tensor"): "torch",
}

# Which types give a value of that kind, in the order in which they are offered; the first is what a pipeline written in
# Python declares.
TYPES_OF_KIND: Dict[str, Tuple[str, ...]] = {
    "pandas": ("parquet", "csv"),
    "polars": ("parquet", "csv"),
    "polars-lazy": ("parquet", "csv"),
    "arrow": ("parquet", "csv"),
    "numpy": ("npy",),
    "torch": ("npy",),
    "dict": ("json", "npz", "folder"),
    "list": ("json", "csv", "lines", "parquet", "folder"),
    "tuple": ("json",),
    "scalar": ("json",),
    "str": ("text", "json"),
    "bytes": ("bytes",),
    "object": ("json",),
    "path": ("file", "folder"),
}


class Wanted:
    """What an annotation asks for.

    `kind` is a key of TYPES_OF_KIND, `any`, or `class`. `cls` is the class itself, `item` what is wanted of the items of
    a list or the values of a dictionary, and `declared` the type that `Annotated[..., "csv"]` names.
    """

    __slots__ = ("kind", "cls", "item", "declared", "optional", "shown")

    def __init__(
        self,
        kind: str,
        cls: Any = None,
        *,
        item: "Optional[Wanted]" = None,
        declared: Optional[str] = None,
        optional: bool = False,
        shown: str = "",
    ) -> None:
        self.kind = kind
        self.cls = cls
        self.item = item
        self.declared = declared
        self.optional = optional
        self.shown = shown

    def but(self, **changes: Any) -> "Wanted":
        """The same with changes."""
        known = {name: getattr(self, name) for name in self.__slots__}
        known.update(changes)
        return Wanted(**known)


ANY = Wanted("any")


def wanted_by(function: Any) -> Dict[str, Wanted]:
    """What the annotations of a function ask for, by argument; `return` for what it gives."""
    return {name: wanted(hint) for name, hint in hints_of(function).items()}


def hints_of(function: Any) -> Dict[str, Any]:
    """The annotations of a function, evaluated as far as they can be; what cannot be is no wish.

    Libraries that are imported for a type checker alone are known by their usual names: `pd.DataFrame` says enough.
    """
    target = function
    if not (inspect.isfunction(target) or inspect.ismethod(target) or inspect.isclass(target)):
        target = getattr(target, "__wrapped__", None) or getattr(type(target), "__call__", target)
    elif inspect.isclass(target):
        target = target.__init__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:
        hints = getattr(inspect.unwrap(target), "__annotations__", {})
        return {name: _evaluated(hint, inspect.unwrap(target)) for name, hint in hints.items()}


def _evaluated(hint: Any, function: Any) -> Any:
    if not isinstance(hint, str):
        return hint
    names = {**_stand_ins(), **getattr(function, "__globals__", {})}
    try:
        return eval(hint, names)  # noqa: S307 - the program's own code, as typing.get_type_hints does it
    except Exception:
        return Any


def _stand_ins() -> Dict[str, Any]:
    """By the names that people import them as, modules that have but the classes that annotations are about."""
    import types

    modules: Dict[str, Any] = {}
    for library, name in _LIBRARY_KINDS:
        module = modules.setdefault(library, types.SimpleNamespace())
        setattr(module, name, type(name, (StandIn,), {"__module__": library}))
    usual = {"pd": "pandas", "pl": "polars", "pa": "pyarrow", "np": "numpy"}
    return {**modules, **{short: modules[library] for short, library in usual.items()}}


class StandIn:
    """A class of a library that is not imported."""


def wanted(annotation: Any) -> Wanted:
    """What one annotation asks for."""
    shown = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    return _read(annotation).but(shown=shown)


def _read(annotation: Any) -> Wanted:
    if annotation in (inspect.Parameter.empty, Any, object) or isinstance(annotation, (str, typing.TypeVar)):
        return ANY
    if annotation in (None, type(None)):
        return Wanted("none", optional=True)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        declared = next((item for item in annotation.__metadata__ if isinstance(item, str)), None)
        inner = _read(annotation.__origin__)
        return inner.but(declared=declared or inner.declared)
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        others = [_read(arg) for arg in args if arg is not type(None)]
        inner = others[0] if len(others) == 1 else ANY
        return inner.but(optional=len(others) < len(args))
    if origin is typing.Literal:
        return Wanted("scalar")
    if origin is not None and isinstance(origin, type):
        return _read_generic(origin, args)
    return _read_class(annotation) if isinstance(annotation, type) else ANY


def _read_generic(origin: type, args: Tuple[Any, ...]) -> Wanted:
    plain = _read_class(origin)
    if plain.kind == "dict" and len(args) == 2:
        return plain.but(item=wanted(args[1]))
    if plain.kind == "list" and len(args) == 1:
        return plain.but(item=wanted(args[0]))
    return plain


def _read_class(cls: type) -> Wanted:
    import collections.abc
    import dataclasses
    import os

    for base in cls.__mro__:
        kind = _LIBRARY_KINDS.get((base.__module__.split(".")[0], base.__name__))
        if kind is not None:
            return Wanted(kind, cls)
    if dataclasses.is_dataclass(cls) or hasattr(cls, "model_validate"):
        return Wanted("object", cls)
    if cls is bytes or cls is bytearray or cls is memoryview:
        return Wanted("bytes", cls)
    if cls is str:
        return Wanted("str", cls)
    if cls in (bool, int, float):
        return Wanted("scalar", cls)
    if issubclass(cls, os.PathLike):
        return Wanted("path", cls)
    if cls is tuple or (issubclass(cls, tuple) and hasattr(cls, "_fields")):
        return Wanted("tuple", cls)
    if issubclass(cls, dict) or cls in (collections.abc.Mapping, collections.abc.MutableMapping):
        return Wanted("dict", cls)
    if cls is list or cls in (collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection):
        return Wanted("list", cls)
    return Wanted("class", cls)
