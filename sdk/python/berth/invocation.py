"""The declaration of what is to be called, as Berth hands it over."""

import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from berth.errors import StepError


class Artifact(NamedTuple):
    """An input or output: its name, how it is read or written, and where it lies."""

    name: str
    type: str
    path: Path
    optional: bool = False


class Invocation(NamedTuple):
    """A function, and all that it gets and gives."""

    module: str
    function: str
    inputs: List[Artifact]
    outputs: List[Artifact]
    # Parameters, matrix values, and the place in the batch: handed over where the function asks for them.
    values: Dict[str, Any]

    @property
    def target(self) -> str:
        """As the pipeline file names it."""
        return f"{self.module}:{self.function}"


def read_invocation() -> Invocation:
    """What BERTH_INVOCATION says."""
    from berth.json_values import read_json

    text = os.environ.get("BERTH_INVOCATION")
    if text is None:
        raise StepError("BERTH_INVOCATION is not set: this program is started by Berth, not by hand")
    raw = read_json(text)
    return Invocation(
        module=raw["module"],
        function=raw["function"],
        inputs=[_artifact(item) for item in raw["inputs"]],
        outputs=[_artifact(item) for item in raw["outputs"]],
        values=raw["values"],
    )


def _artifact(raw: Dict[str, Any]) -> Artifact:
    return Artifact(raw["name"], raw["type"], Path(raw["path"]), raw.get("optional", False))
