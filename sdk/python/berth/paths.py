"""Where a step's inputs and outputs lie, by name."""

import os
from pathlib import Path


def input_path(name):
    """The path of an input: the file or the folder itself."""
    return _path("INPUT", name)


def output_path(name):
    """The path at which an output is to be written."""
    return _path("OUTPUT", name)


def _path(kind, name):
    variable = f"BERTH_{kind}_{name.upper().replace('-', '_')}"
    if variable not in os.environ:
        raise KeyError(f"this step declares no {kind.lower()} named {name!r}")
    return Path(os.environ[variable])
