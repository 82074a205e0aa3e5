"""A pipeline that is being described."""

import os
import sys
from typing import Any, Dict, List, Optional

from berth.authoring.declared import declared_outputs, named_outputs, type_of_spec
from berth.authoring.handles import Input, Output, Split, Step, as_input
from berth.authoring.problems import PipelineError, Place, place_of_caller
from berth.authoring.wiring import wire

# What a pipeline runs in that says nothing else.
DEFAULT_BASE = "python:3.12-slim"

_active: List["Pipeline"] = []
# All that were described in this process.
DESCRIBED: List["Pipeline"] = []

# Keys of the pipeline file that are written otherwise in Python.
_WORDS = {
    "queue_timeout": "queueTimeout",
    "image_timeout": "imageTimeout",
    "max_delay": "maxDelay",
    "max_memory": "maxMemory",
    "catch_up": "catchUp",
}
_WITH_WORDS = ("resources", "retry", "schedules")


def active_pipeline() -> "Optional[Pipeline]":
    """The pipeline whose `with` is open."""
    return _active[-1] if _active else None


class Pipeline:
    """Describes a pipeline, to be run by `berth run FILE.py`, or made a pipeline file by `berth compile FILE.py`.

        with berth.Pipeline("wine", params={"seed": 7}, environment={"base": "python:3.12-slim"}) as wine:
            rows = prepare()
            model = train(rows)

    `keys` are those of the pipeline file: params, environment, environments, env, mode, retry, schedules, worker,
    concurrency, retention… A pipeline whose steps are functions runs in the folder of its file, so that they are found.
    """

    def __init__(self, name: str, **keys: Any) -> None:
        self.place = place_of_caller()
        self.name = name
        self.keys = _words(keys)
        self.steps: Dict[str, Dict[str, Any]] = {}
        self.places: Dict[str, Place] = {key: self.place for key in ("name", "steps", *self.keys)}
        self._has_functions = False
        DESCRIBED.append(self)

    def __enter__(self) -> "Pipeline":
        _active.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        _active.remove(self)

    @property
    def params(self) -> "_Names":
        """Parameters as templates: `f"seq {wine.params.count}"`."""
        return _Names("params", list(self.keys.get("params") or {}))

    def shell(self, name: str, script: str, *, inputs: Optional[Dict[str, Any]] = None, outputs: Any = None, **keys: Any) -> Step:
        """A step that is a shell script, with inputs by name: `wine.shell("count", "wc -l < $BERTH_INPUT_ROWS", inputs={"rows": rows})`."""
        return self._add_plain(name, {"run": script}, inputs, outputs, keys)

    def command(self, name: str, argv: List[Any], *, inputs: Optional[Dict[str, Any]] = None, outputs: Any = None, **keys: Any) -> Step:
        """A step that is a program with arguments."""
        return self._add_plain(name, {"command": list(argv)}, inputs, outputs, keys)

    def step(self, name: str, *, inputs: Optional[Dict[str, Any]] = None, outputs: Any = None, **keys: Any) -> Step:
        """A step by the keys of the pipeline file: `wine.step("plot", typescript="plot.ts:plot", inputs={"rows": rows})`."""
        return self._add_plain(name, {}, inputs, outputs, keys)

    def _add_plain(self, name: str, action: Dict[str, Any], inputs: Any, outputs: Any, keys: Dict[str, Any]) -> Step:
        place = place_of_caller()
        wired: Dict[str, Any] = {"inputs": {}}
        for key, value in (inputs or {}).items():
            read = as_input(value)
            if read is None and not isinstance(value, (str, dict)):
                raise PipelineError(f"the input {key!r} of {name} is no output of a step but {value!r}", place)
            wired["inputs"][key] = value if read is None else read.as_key()
        is_function = any(key in keys for key in ("python", "typescript"))
        specs = named_outputs(outputs, place)
        return self._add(name, {**action, **keys, **wired}, specs, place, {}, unsaid="json" if is_function else "file")

    def add_function(
        self, function: Any, name: str, keys: Dict[str, Any], args: Any, kwargs: Any, place: Place, places: Dict[str, Place]
    ) -> Step:
        """A step that calls a function of Python, which its workers import by its module and name."""
        target = f"{_module_of(function, place)}:{function.__name__}"
        if "inputs" in keys:
            raise PipelineError("the inputs of a function are its arguments: call it with outputs of other steps", place)
        keys = dict(keys)
        outputs = declared_outputs(function, keys.pop("outputs", None), places.get("outputs", place))
        known = {key.replace("-", "_") for part in (self.keys.get("params"), keys.get("matrix")) for key in part or {}}
        if "batch" in keys:
            known |= {"batch", "batch_index", "batch_count"}
        self._has_functions = True
        self._use_source(keys)
        known |= {key.replace("-", "_") for key in keys.get("args") or {}}
        wired = wire(function, args, kwargs, known, place)
        wired["args"] = {**(keys.pop("args", None) or {}), **wired["args"]}
        return self._add(name, {"python": target, **keys, **wired}, outputs, place, places, unsaid="json")

    def _add(
        self, name: str, keys: Dict[str, Any], outputs: Dict[str, Any], place: Place, places: Dict[str, Place], *, unsaid: str
    ) -> Step:
        if name in self.steps:
            before = self.places[f"steps.{name}"]
            advice = "name it by name=… or, for a function, f.options(name=…)(…)"
            raise PipelineError(f"there is a step {name!r} already (line {before.line}): {advice}", place)
        content = {key: value for key, value in _words(keys).items() if value is not None and value != {}}
        if "needs" in content:
            content["needs"] = [str(need) for need in content["needs"]]
        if "batch" in content:
            content["batch"] = _batch(content["batch"])
        if outputs:
            content["outputs"] = outputs
        self.steps[name] = content
        self.places[f"steps.{name}"] = place
        for key, where in places.items():
            self.places[f"steps.{name}.{key}"] = where
        many = "matrix" in content or "batch" in content
        made = [
            Output(name, key, type_of_spec(spec, unsaid), many=many, optional=bool(spec.get("optional")))
            for key, spec in outputs.items()
        ]
        return Step(name, made)

    def _use_source(self, keys: Dict[str, Any]) -> None:
        """The folder of the file becomes the source of what a function runs in, unless something else is said."""
        own = keys.get("environment")
        if isinstance(own, dict):
            keys["environment"] = _with_source(own)
            return
        chosen = own or self.keys.get("environment")
        if chosen is None:
            self.keys["environment"] = {"base": DEFAULT_BASE, "source": "."}
        elif isinstance(chosen, dict):
            self.keys["environment"] = _with_source(chosen)
        else:
            named = self.keys.get("environments") or {}
            if isinstance(named.get(chosen), dict):
                self.keys["environments"] = {**named, chosen: _with_source(named[chosen])}

    def as_file(self) -> Dict[str, Any]:
        """What the pipeline file holds."""
        return {"name": self.name, **self.keys, "steps": self.steps}


class _Names:
    def __init__(self, what: str, names: List[str]) -> None:
        self._what = what
        self._names = names

    def __getattr__(self, name: str) -> str:
        found = next((known for known in self._names if known.replace("-", "_") == name), None)
        if found is None:
            has = ", ".join(self._names) or "none"
            raise PipelineError(f"the pipeline has no parameter {name!r}; it has {has}", place_of_caller())
        return f"${{{{ {self._what}.{found} }}}}"


def _with_source(environment: Dict[str, Any]) -> Dict[str, Any]:
    if "source" in environment or not ("base" in environment or "image" in environment):
        return environment
    return {**environment, "source": "."}


def _batch(value: Any) -> Any:
    if isinstance(value, Split):
        return value.as_key()
    if isinstance(value, (Output, Step, Input)):
        return {"over": str(as_input(value).output)}  # type: ignore[union-attr]
    if isinstance(value, dict) and not isinstance(value.get("over"), str):
        read = as_input(value.get("over"))
        return value if read is None else {**value, "over": str(read.output)}
    return value


def _words(keys: Dict[str, Any]) -> Dict[str, Any]:
    """Keys as the pipeline file writes them."""
    return {_WORDS.get(key, key): _deep_words(value) if key in _WITH_WORDS else value for key, value in keys.items()}


def _deep_words(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {_WORDS.get(key, key): item if key == "params" else _deep_words(item) for key, item in value.items()}


def _module_of(function: Any, place: Place) -> str:
    name, module = function.__name__, function.__module__
    if function.__qualname__ != name or not hasattr(sys.modules.get(module), name):
        raise PipelineError(f"{function.__qualname__} is not found by its name: a step is a function at the top of a module", place)
    if not all(part.isidentifier() for part in module.split(".")):
        file = os.path.basename(function.__code__.co_filename)
        raise PipelineError(f"{file} cannot be imported by its name: name it with letters, digits and '_' only", place)
    return module
