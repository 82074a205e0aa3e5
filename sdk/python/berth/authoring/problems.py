"""What is wrong with a pipeline, and where in the code."""

import os
import sys
from typing import Any, Dict, NamedTuple, Optional

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Place(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int

    def as_json(self) -> Dict[str, Any]:
        """As `berth compile` reads it."""
        return {"file": self.file, "line": self.line}


class PipelineError(Exception):
    """Something about a pipeline that its author has to mend."""

    def __init__(self, message: str, place: Optional[Place] = None, path: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.path = path

    def __str__(self) -> str:
        where = "" if self.place is None else f"{self.place.file}:{self.place.line}: "
        return where + super().__str__()

    @property
    def message(self) -> str:
        """Without its place."""
        return super().__str__()


def place_of_caller() -> Place:
    """The innermost line of the code that is being run and is not of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE + os.sep):
        frame = frame.f_back
    return Place(os.path.abspath(frame.f_code.co_filename), frame.f_lineno)


def place_of_function(function: Any) -> Place:
    """Where a function begins, with its decorators."""
    code = function.__code__
    return Place(os.path.abspath(code.co_filename), code.co_firstlineno)
