"""The declaration of what is to be called, as Berth hands it over."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List

from berth.errors import StepError


@dataclass(frozen=True)
class Artifact:
    """An input or output: its name, how it is read or written, and where it lies."""

    name: str
    type: str
    path: Path
    optional: bool = False


@dataclass(frozen=True)
class Invocation:
    module: str
    function: str
    inputs: List[Artifact]
    outputs: List[Artifact]
    # Parameters, matrix values, and the place in the batch: handed over where the function asks for them.
    values: Dict[str, Any] = field(default_factory=dict)

    @property
    def target(self):
        return f"{self.module}:{self.function}"


def read_invocation():
    text = os.environ.get("BERTH_INVOCATION")
    if text is None:
        raise StepError("BERTH_INVOCATION is not set: this program is started by Berth, not by hand")
    raw = json.loads(text)
    return Invocation(
        module=raw["module"],
        function=raw["function"],
        inputs=[_artifact(item) for item in raw["inputs"]],
        outputs=[_artifact(item) for item in raw["outputs"]],
        values=raw["values"],
    )


def _artifact(raw):
    return Artifact(raw["name"], raw["type"], Path(raw["path"]), raw.get("optional", False))
