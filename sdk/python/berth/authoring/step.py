"""Functions that are steps: still functions, which only within a pipeline's `with` are steps when they are called."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Protocol, TypeVar, overload

from berth.authoring.pipeline import active_pipeline
from berth.authoring.problems import PipelineError, Place, place_of_caller

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)
    T = TypeVar("T")

    class StepFunction(Protocol[P, R]):
        """A function that is a step as well."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

        def options(self, *, name: Optional[str] = None, **keys: Any) -> StepFunction[P, R]:
            """The same step with other keys, or under another name."""


@overload
def step(function: Callable[P, T], *, name: Optional[str] = None, **keys: Any) -> StepFunction[P, T]: ...


@overload
def step(*, name: Optional[str] = None, **keys: Any) -> Callable[[Callable[P, T]], StepFunction[P, T]]: ...


def step(function: Any = None, *, name: Optional[str] = None, **keys: Any) -> Any:
    """Makes a function a step: `@berth.step`, or `@berth.step(cache=True, resources={"memory": "2GiB"})`.

    Called as usual, it is the function that it was. Called within `with berth.Pipeline(...)`, with the outputs of other
    steps as arguments, it becomes a step of that pipeline. `keys` are those of a step in the pipeline file: matrix,
    resources, retry, cache, when, needs, environment, outputs…

    A function that is no step of its own is made one in place: `berth.step(train, name="train-again")(rows)`.
    """
    place = place_of_caller()
    if function is not None:
        return _step_of(function, name, keys, place)
    return lambda decorated: _step_of(decorated, name, keys, place)


def _step_of(function: Any, name: Optional[str], keys: Dict[str, Any], place: Place) -> Any:
    known = getattr(function, "__berth_step__", None)
    if known is not None:
        function, before = known
        keys = {**before, **keys}
    if not inspect.isfunction(function):
        raise PipelineError(f"a step is a function, not {function!r}", place)
    places = {key: place for key in keys}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        pipeline = active_pipeline()
        if pipeline is None:
            return function(*args, **kwargs)
        return pipeline.add_function(function, name or function.__name__, keys, args, kwargs, place_of_caller(), places)

    def options(*, name: Optional[str] = None, **more: Any) -> Any:
        """The same step with other keys, or under another name: `train.options(name="big", cache=True)(rows)`."""
        return _step_of(function, name, {**keys, **more}, place_of_caller())

    call.options = options  # type: ignore[attr-defined]
    call.__berth_step__ = (function, keys)  # type: ignore[attr-defined]
    return call
