"""Loads the function, calls it, writes what it returns, and turns what goes wrong into an exit code."""

import importlib
import inspect
import os
import sys
import traceback
from typing import Any

from berth.annotations import Wanted, wanted_by
from berth.arguments import bind_arguments
from berth.errors import BUSINESS_EXIT_CODE, BusinessError, StepError, write_error_file
from berth.invocation import Invocation, read_invocation
from berth.outputs import check_outputs, write_outputs


def main() -> int:
    """Runs the step; returns its exit code."""
    # Lines appear in the live log as they are printed, not when a buffer is full, and as UTF-8 whatever the image says.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    # The step's own modules are found from its working folder, as with `python3 -m`.
    sys.path.insert(0, os.getcwd())
    try:
        _run()
        return 0
    except BusinessError as error:
        message = str(error) or type(error).__name__
        print(f"business error: {message}", file=sys.stderr)
        write_error_file("business", message)
        return BUSINESS_EXIT_CODE
    except StepError as error:
        print(f"berth: {error}", file=sys.stderr)
        write_error_file("application", str(error))
        return 1
    except Exception as error:
        _print_own_traceback(error)
        write_error_file("application", _message_of(error))
        return 1


def _run() -> None:
    invocation = read_invocation()
    function = _load(invocation)
    wishes = wanted_by(function)
    check_outputs(invocation.outputs, wishes.get("return", Wanted("any")), invocation.target)
    positional, keywords = bind_arguments(function, invocation, wishes)
    returned = function(*positional, **keywords)
    if inspect.isawaitable(returned):
        import asyncio

        returned = asyncio.run(_awaited(returned))
    write_outputs(invocation.outputs, returned, invocation.target)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _load(invocation: Invocation) -> Any:
    try:
        module = importlib.import_module(invocation.module)
    except ModuleNotFoundError as error:
        # Missing inside of the module is the module's own failure, with its traceback.
        if error.name is None or not f"{invocation.module}.".startswith(f"{error.name}."):
            raise
        raise StepError(
            f"there is no module {error.name!r} in {os.getcwd()} or among the installed packages "
            f"(wanted for {invocation.target}); is the source part of the step's environment?"
        ) from error
    target = module
    for name in invocation.function.split("."):
        if not hasattr(target, name):
            raise StepError(f"the module {invocation.module!r} has no {invocation.function!r}")
        target = getattr(target, name)
    if not callable(target):
        raise StepError(f"{invocation.target} is a {type(target).__name__}, which cannot be called")
    # What berth.step made of it is for those who describe pipelines.
    return getattr(target, "__berth_step__", (target,))[0]


def _message_of(error: BaseException) -> str:
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    if not isinstance(error, ModuleNotFoundError):
        return message
    return (
        f"{message} for {sys.executable}, which runs the step: list it in environment.python.packages; "
        "without images, install it there, or put another Python first in the PATH of the step's env"
    )


def _is_machinery(file: str) -> bool:
    return file == __file__ or file.startswith("<frozen importlib") or file == importlib.__file__


def _print_own_traceback(error: BaseException) -> None:
    """Without the frames of this file and of the import of the step's module, which say nothing to its author."""
    frames = error.__traceback__
    while frames is not None and _is_machinery(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    if frames is None:
        # It failed in there: better all of it than nothing.
        frames = error.__traceback__
    traceback.print_exception(type(error), error, frames)
