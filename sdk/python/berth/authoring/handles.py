"""What stands for steps and their outputs while a pipeline is described."""

from typing import Any, Dict, Iterator, List, Optional, Union

from berth.authoring.problems import PipelineError, place_of_caller


class Output:
    """An output of a step, to be handed to other steps."""

    def __init__(self, step: str, name: str, type: str, *, many: bool, optional: bool = False) -> None:  # noqa: A002
        self.step = step
        self.name = name
        self.type = type
        # Whether its step runs more than once, so that there are several of it.
        self.many = many
        self.optional = optional

    def gather(self, how: str) -> "Input":
        """The outputs of a matrix or batch step in one: "folder", "lines", "csv" or "json"."""
        return Input(self, gather=how)

    def as_type(self, type: str) -> "Input":  # noqa: A002 - the word of the pipeline file
        """Read as another type than it is declared as: `made.as_type("file")` is a path."""
        return Input(self, type=type)

    def split(self, size: Optional[int] = None, *, parallel: Optional[int] = None, format: Optional[str] = None) -> "Split":  # noqa: A002
        """In parts, one for each run of the step that gets it as its argument `batch`."""
        return Split(self, {"size": size, "parallel": parallel, "format": format})

    def __str__(self) -> str:
        return f"{self.step}.{self.name}"

    def __iter__(self) -> Iterator[Any]:
        raise PipelineError(f"{self} is one output, which only has parts when the pipeline runs", place_of_caller())

    def __bool__(self) -> bool:
        raise PipelineError(
            f"{self} has no value while the pipeline is described: use the step's `when` for a condition", place_of_caller()
        )


class Input:
    """An output with how it is read."""

    def __init__(self, output: Output, gather: Optional[str] = None, type: Optional[str] = None) -> None:  # noqa: A002
        self.output = output
        self.how = gather
        self.type = type

    def gather(self, how: str) -> "Input":
        """See Output.gather."""
        return Input(self.output, how, self.type)

    def as_type(self, type: str) -> "Input":  # noqa: A002
        """See Output.as_type."""
        return Input(self.output, self.how, type)

    def as_key(self) -> Union[str, Dict[str, Any]]:
        """As the pipeline file has it."""
        more = {key: value for key, value in (("gather", self.how), ("type", self.type)) if value is not None}
        return {"from": str(self.output), **more} if more else str(self.output)


class Split:
    """An output in parts."""

    def __init__(self, output: Output, keys: Dict[str, Any]) -> None:
        self.output = output
        self.keys = {key: value for key, value in keys.items() if value is not None}

    def as_key(self) -> Dict[str, Any]:
        """As the pipeline file has it."""
        return {"over": str(self.output), **self.keys}


class Step:
    """A step of a pipeline that is being described.

    With one output it stands for it. With several they are `step.name`, `step["name"]`, or `first, second = step`.
    """

    def __init__(self, name: str, outputs: List[Output]) -> None:
        self.step_name = name
        self.step_outputs = {output.name.replace("-", "_"): output for output in outputs}

    def __getitem__(self, name: str) -> Output:
        found = self.step_outputs.get(name.replace("-", "_"))
        if found is None:
            has = ", ".join(self.step_outputs) or "none"
            raise PipelineError(f"the step {self.step_name!r} has no output {name!r}; it has {has}", place_of_caller())
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in ("gather", "as_type", "split"):
            return getattr(self.only_output(), name)
        return self[name]

    def __iter__(self) -> Iterator[Output]:
        return iter(self.step_outputs.values())

    def __str__(self) -> str:
        return self.step_name

    def only_output(self) -> Output:
        """The output that it stands for."""
        if len(self.step_outputs) == 1:
            return next(iter(self.step_outputs.values()))
        has = f"has the outputs {', '.join(self.step_outputs)}: say which" if self.step_outputs else "has no output"
        raise PipelineError(f"the step {self.step_name!r} {has}", place_of_caller())


def as_input(value: Any) -> Optional[Input]:
    """The input that a value stands for; None when it is something else."""
    if isinstance(value, Step):
        value = value.only_output()
    if isinstance(value, Output):
        return Input(value)
    return value if isinstance(value, Input) else None
