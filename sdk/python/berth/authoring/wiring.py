"""Which arguments of a call become inputs of the step, and in what form."""

import inspect
from typing import Any, Dict, Set

from berth.annotations import ANY, Wanted, wanted_by
from berth.authoring.handles import Input, Output, Split, as_input
from berth.authoring.problems import PipelineError, Place

_FRAMES = ("pandas", "polars", "polars-lazy", "arrow")


def wire(function: Any, args: Any, kwargs: Any, known: Set[str], place: Place) -> Dict[str, Any]:
    """`inputs`, `batch` and `args` of a step from a call of its function. `known` are names that it gets by themselves."""
    name = function.__name__
    try:
        signature = inspect.signature(function)
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise PipelineError(f"{name}(): {error}", place) from error
    wishes = wanted_by(function)
    keys: Dict[str, Any] = {"inputs": {}, "args": {}}
    for argument, value in _flat(signature, given).items():
        if isinstance(value, Split):
            if argument != "batch":
                raise PipelineError(f"{name} gets its part of a batch as the argument batch, not {argument!r}", place)
            keys["batch"] = value.as_key()
            continue
        wired = as_input(value)
        if wired is None:
            if value != f"${{{{ params.{argument} }}}}":
                keys["args"][argument] = _constant(name, argument, value, place)
            continue
        keys["inputs"][argument] = _as_wanted(wired, argument, wishes.get(argument, ANY), name, place).as_key()
    _refuse_missing(signature, set(given) | known, "batch" in keys, name, place)
    return keys


def _flat(signature: inspect.Signature, given: Dict[str, Any]) -> Dict[str, Any]:
    """With what `**rest` took as arguments of their own."""
    flat: Dict[str, Any] = {}
    for argument, value in given.items():
        if signature.parameters[argument].kind is inspect.Parameter.VAR_KEYWORD:
            flat.update(value)
        else:
            flat[argument] = value
    return flat


def _constant(name: str, argument: str, value: Any, place: Place) -> Any:
    """What the pipeline file can hold as an argument: texts, numbers, true and false, lists of them, and templates."""
    plain = list(value) if isinstance(value, tuple) else value
    if all(isinstance(item, (str, int, float, bool)) for item in (plain if isinstance(plain, list) else [plain])):
        return plain
    raise PipelineError(
        f"the argument {argument!r} of {name} is {value!r}: it is an output of a step, or a text, a number, "
        "true or false, a list of them, or a parameter of the pipeline",
        place,
    )


def _refuse_missing(signature: inspect.Signature, known: Set[str], in_batch: bool, name: str, place: Place) -> None:
    if in_batch:
        known = known | {"batch", "batch_index", "batch_count"}
    open_kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for argument, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and parameter.kind not in open_kinds and argument not in known:
            raise PipelineError(
                f"{name} wants an argument {argument!r}: give it an output of a step, or make it a parameter "
                "of the pipeline or a matrix value of that name",
                place,
            )


def _as_wanted(wired: Input, argument: str, wish: Wanted, name: str, place: Place) -> Input:
    output = wired.output
    if output.many and wired.how is None and wired.type is None:
        wired = _gathered(output, wish)
    declared = wired.type or _type_read(wired)
    if wish.declared is not None and declared == "file" and wired.type is None:
        return Input(output, wired.how, wish.declared)
    if not declared.startswith("x-"):
        _check(declared, wish, f"the argument {argument!r} of {name}", output, place)
    return wired


def _gathered(output: Output, wish: Wanted) -> Input:
    """How the outputs of a matrix or batch step are joined, so that the argument gets what it is annotated as."""
    item = wish.item.kind if wish.item is not None else ""
    if wish.kind in _FRAMES and output.type == "csv":
        return Input(output, gather="csv")
    if wish.kind == "list" and item not in (*_FRAMES, "numpy", "torch", "path"):
        if output.type in ("csv", "json"):
            return Input(output, gather=output.type)
        if output.type in ("text", "lines"):
            return Input(output, gather="lines", type="lines")
    return Input(output)


def _type_read(wired: Input) -> str:
    if not wired.output.many:
        return wired.output.type
    return {"lines": "text", "csv": "csv", "json": "json"}.get(wired.how or "", "folder")


def _check(declared: str, wish: Wanted, what: str, output: Output, place: Place) -> None:
    from berth.errors import StepError
    from berth.load_save import check_fit

    try:
        check_fit(declared, wish, what, "input")
    except StepError as error:
        several = f" (its step runs several times: {output}.gather(…) joins them)" if output.many else ""
        raise PipelineError(f"{error}: {output}{several}", place) from error
