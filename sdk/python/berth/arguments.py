"""Which of the things that a step has go to which argument of its function."""

import inspect
from typing import Any, Dict, List, Tuple

from berth.annotations import ANY, Wanted
from berth.errors import StepError
from berth.invocation import Artifact, Invocation
from berth.load_save import check_fit, load_artifact


def bind_arguments(function: Any, invocation: Invocation, wishes: Dict[str, Wanted]) -> Tuple[List[Any], Dict[str, Any]]:
    """Positional and keyword arguments for the call. Only inputs that the function asks for are read.

    Every declared input has to be asked for; parameters, matrix values and the place in the batch may be left alone.
    """
    parameters = _parameters(function)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    inputs = {_identifier(artifact.name): artifact for artifact in invocation.inputs}
    values = {_identifier(name): value for name, value in invocation.values.items()}
    named = [parameter for parameter in parameters if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    _refuse_unasked(inputs, [parameter.name for parameter in named], takes_any, invocation)
    for parameter in named:
        if parameter.name in inputs:
            what = f"the argument {parameter.name!r} of {invocation.target}"
            check_fit(inputs[parameter.name].type, wishes.get(parameter.name, ANY), what, "input")
        elif parameter.name not in values and parameter.default is parameter.empty:
            raise StepError(_missing(parameter.name, inputs, values, invocation))

    positional, keywords = [], {}
    for parameter in named:
        wish = wishes.get(parameter.name, ANY)
        if parameter.name in inputs:
            value = _input_value(inputs[parameter.name], parameter, wish, invocation)
        elif parameter.name in values:
            value = _plain_value(values[parameter.name], parameter.name, wish, invocation)
        else:
            value = parameter.default
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            keywords[parameter.name] = value
    if takes_any:
        rest = [name for name in inputs if name not in keywords]
        keywords.update({name: load_artifact(inputs[name], ANY) for name in rest if inputs[name].path.exists()})
    return positional, keywords


def _input_value(artifact: Artifact, parameter: inspect.Parameter, wish: Wanted, invocation: Invocation) -> Any:
    if artifact.path.exists():
        return load_artifact(artifact, wish)
    # Its producer left out an optional output.
    if parameter.default is not parameter.empty:
        return parameter.default
    if wish.kind == "any" or wish.optional:
        return None
    raise StepError(
        f"the input {artifact.name!r} is not there, since the step before left out this optional output, and "
        f"{invocation.target} wants a {wish.shown}: annotate Optional[{wish.shown}], or give the argument a default"
    )


def _plain_value(value: Any, name: str, wish: Wanted, invocation: Invocation) -> Any:
    """A parameter is what the pipeline says; a whole number does where any number is wanted."""
    cls = wish.cls
    if wish.kind not in ("scalar", "str") or cls is None:
        return value
    if cls is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, cls) and isinstance(value, bool) == (cls is bool):
        return value
    raise StepError(f"{invocation.target} wants a {wish.shown} as {name!r}, and the pipeline gives {value!r}")


def _parameters(function: Any) -> List[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise StepError(f"the arguments of {function!r} cannot be determined: {error}") from error


def _identifier(name: str) -> str:
    """Names of inputs and parameters may hold a '-', which Python's names cannot."""
    return name.replace("-", "_")


def _refuse_unasked(inputs: Dict[str, Artifact], asked: List[str], takes_any: bool, invocation: Invocation) -> None:
    unasked = [] if takes_any else [name for name in inputs if name not in asked and name != "batch"]
    if unasked:
        raise StepError(
            f"{invocation.target} takes no argument {_listed(unasked)}, but the step declares "
            f"{'inputs' if len(unasked) > 1 else 'an input'} of that name; it takes {_listed(asked) or 'none'}"
        )


def _missing(name: str, inputs: Dict[str, Artifact], values: Dict[str, Any], invocation: Invocation) -> str:
    return (
        f"{invocation.target} wants an argument {name!r}, which is no input, parameter or matrix value of the step; "
        f"inputs: {_listed(inputs) or 'none'}; other values: {_listed(values) or 'none'}"
    )


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
