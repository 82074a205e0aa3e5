"""Which of the things that a step has go to which argument of its function."""

import inspect

from berth.errors import StepError
from berth.reading import read_input


def bind_arguments(function, invocation):
    """Positional and keyword arguments for the call. Only inputs that the function asks for are read.

    Every declared input has to be asked for; parameters, matrix values and the place in the batch may be left alone.
    """
    parameters = _parameters(function)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    inputs = {_identifier(artifact.name): artifact for artifact in invocation.inputs}
    values = {_identifier(name): value for name, value in invocation.values.items()}
    named = [parameter for parameter in parameters if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    _refuse_unasked(inputs, [parameter.name for parameter in named], takes_any, invocation)

    positional, keywords = [], {}
    for parameter in named:
        if parameter.name in inputs:
            value = read_input(inputs[parameter.name])
        elif parameter.name in values:
            value = values[parameter.name]
        elif parameter.default is not parameter.empty:
            value = parameter.default
        else:
            raise StepError(_missing(parameter.name, inputs, values, invocation))
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            keywords[parameter.name] = value
    if takes_any:
        keywords.update({name: read_input(artifact) for name, artifact in inputs.items() if name not in keywords})
    return positional, keywords


def _parameters(function):
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise StepError(f"the arguments of {function!r} cannot be determined: {error}") from error


def _identifier(name):
    """Names of inputs and parameters may hold a '-', which Python's names cannot."""
    return name.replace("-", "_")


def _refuse_unasked(inputs, asked, takes_any, invocation):
    unasked = [] if takes_any else [name for name in inputs if name not in asked and name != "batch"]
    if unasked:
        raise StepError(
            f"{invocation.target} takes no argument {_listed(unasked)}, but the step declares "
            f"{'inputs' if len(unasked) > 1 else 'an input'} of that name; it takes {_listed(asked) or 'none'}"
        )


def _missing(name, inputs, values, invocation):
    return (
        f"{invocation.target} wants an argument {name!r}, which is no input, parameter or matrix value of the step; "
        f"inputs: {_listed(inputs) or 'none'}; other values: {_listed(values) or 'none'}"
    )


def _listed(names):
    return ", ".join(repr(name) for name in names)
