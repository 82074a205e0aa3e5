"""Which outputs a step has: what is said by `outputs`, and else by what its function is annotated to return."""

import ast
import inspect
import textwrap
import typing
from typing import Any, Dict, List, Optional, Tuple

from berth.annotations import ANY, TYPES_OF_KIND, Wanted, hints_of, wanted
from berth.authoring.problems import PipelineError, Place
from berth.types.table import OWN_CLASSES

# The output of a function that names none.
RESULT = "result"
KNOWN_TYPES = ("file", "folder", "json", "text", "lines", "bytes", "csv", "parquet", "npy", "npz", "pickle")
_BY_ENDING = {"json": "json", "csv": "csv", "txt": "text", "parquet": "parquet", "npy": "npy", "npz": "npz"}

Spec = Dict[str, Any]


def declared_outputs(function: Any, said: Any, place: Place) -> Dict[str, Spec]:
    """Outputs by name, as the pipeline file has them."""
    annotation = _return_annotation(function)
    if said is None:
        return _by_annotation(function, annotation, place)
    specs = named_outputs(said, place)
    wishes = _wishes(annotation, list(specs))
    return {name: _with_type(name, spec, wishes.get(name, ANY), place) for name, spec in specs.items()}


def named_outputs(said: Any, place: Place) -> Dict[str, Spec]:
    """A name, a list of names or paths, or a dictionary of names with a type, a path, or all keys."""
    if said is None:
        return {}
    if isinstance(said, str):
        said = [said]
    if isinstance(said, (list, tuple)):
        return dict(_from_path(item) for item in said)
    if not isinstance(said, dict):
        raise PipelineError("outputs is a name, a list of names, or a dictionary", place)
    return {name: _spec(value) for name, value in said.items()}


def _from_path(item: str) -> Tuple[str, Spec]:
    """`train.csv` is a path that gives a name; `train` is a name."""
    name = item.rstrip("/").split("/")[-1].split(".")[0]
    return (name, {}) if name == item else (name, {"path": item})


def _spec(value: Any) -> Spec:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"type": value} if value in KNOWN_TYPES or value.startswith("x-") else {"path": value}
    if isinstance(value, dict):
        return dict(value)
    return {"type": _type_of(wanted(value), "outputs", None)}


def type_of_spec(spec: Spec, unsaid: str) -> str:
    """The type that Berth will take; `unsaid` where neither type nor path says one."""
    if "type" in spec:
        return spec["type"]
    path = spec.get("path")
    if path is None:
        return unsaid
    if path.endswith("/"):
        return "folder"
    return _BY_ENDING.get(path.rsplit(".", 1)[-1].lower() if "." in path.split("/")[-1] else "", "file")


def _return_annotation(function: Any) -> Any:
    return hints_of(function).get("return", inspect.Signature.empty)


def _by_annotation(function: Any, annotation: Any, place: Place) -> Dict[str, Spec]:
    if annotation is type(None):
        return {}
    if annotation is inspect.Signature.empty:
        return {RESULT: {"type": "json"}} if _returns_something(function) else {}
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        hints = typing.get_type_hints(annotation, include_extras=True)
        return {name: _with_type(name, {}, wanted(hints.get(name, Any)), place) for name in annotation._fields}
    wish = wanted(annotation)
    if wish.kind == "none":
        return {}
    if wish.kind == "tuple":
        raise PipelineError(f"{function.__name__} returns several things: name them by outputs=[…]", place)
    return {RESULT: _with_type(RESULT, {}, wish, place)}


def _wishes(annotation: Any, names: List[str]) -> Dict[str, Wanted]:
    if annotation is inspect.Signature.empty:
        return {}
    if len(names) == 1:
        return {names[0]: wanted(annotation)}
    args = typing.get_args(annotation) if typing.get_origin(annotation) is tuple else ()
    return {name: wanted(arg) for name, arg in zip(names, args)} if len(args) == len(names) else {}


def _with_type(name: str, spec: Spec, wish: Wanted, place: Place) -> Spec:
    """What is said counts; the annotation says the rest."""
    known = dict(spec)
    if "type" not in known and type_of_spec(known, "") in ("", "file"):
        known["type"] = _type_of(wish, name, place) if wish.kind != "any" or "path" not in known else "file"
    elif wish.kind not in ("any", "none"):
        _check(name, type_of_spec(known, "json"), wish, place)
    if wish.optional and wish.kind != "none":
        known.setdefault("optional", True)
    return known


def _check(name: str, declared: str, wish: Wanted, place: Place) -> None:
    from berth.errors import StepError
    from berth.load_save import check_fit

    if declared.startswith("x-"):
        return
    try:
        check_fit(declared, wish, f"the output {name!r}", "output")
    except StepError as error:
        raise PipelineError(str(error), place) from error


def _type_of(wish: Wanted, name: str, place: Optional[Place]) -> str:
    if wish.declared is not None:
        return wish.declared
    for base in getattr(wish.cls, "__mro__", ()):
        if base in OWN_CLASSES:
            return OWN_CLASSES[base]
    item = wish.item.kind if wish.item is not None else ""
    if wish.kind == "dict" and item in ("numpy", "torch"):
        return "npz"
    if wish.kind == "any":
        return "json"
    if wish.kind in TYPES_OF_KIND and item not in ("pandas", "polars", "arrow", "numpy", "torch"):
        return TYPES_OF_KIND[wish.kind][0]
    raise PipelineError(
        f"no type is known for the output {name!r}, annotated {wish.shown}: say one by Annotated[{wish.shown}, \"pickle\"] "
        "or outputs={…}, use a dataclass, or register a type of your own (berth.register_type with python_type)",
        place,
    )


def _returns_something(function: Any) -> bool:
    """Of a function without annotation: whether a `return` in it gives a value."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return True
    return any(_gives_value(node) for node in ast.iter_child_nodes(tree.body[0]))


def _gives_value(node: ast.AST) -> bool:
    if isinstance(node, ast.Return):
        return not (node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
        return False
    return any(_gives_value(child) for child in ast.iter_child_nodes(node))
