"""Outputs, from what a function returned to files."""

import csv
import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

from berth.errors import StepError


def write_outputs(outputs, returned, target):
    """Writes what the function returned: one value, a tuple in the declared order, or a dictionary by name."""
    for artifact, value in _values_by_output(outputs, returned, target):
        if value is None and (artifact.optional or artifact.type in ("file", "folder")):
            continue
        if artifact.type not in WRITERS:
            raise StepError(f"the output {artifact.name!r} is of type {artifact.type}, which cannot be written: give it type file")
        artifact.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            WRITERS[artifact.type](artifact.path, value)
        except (TypeError, ValueError, AttributeError, csv.Error, pickle.PicklingError) as error:
            message = f"the output {artifact.name!r} of {target} cannot be written as {artifact.type}: {error}"
            raise StepError(message) from error


def _values_by_output(outputs, returned, target):
    names = ", ".join(artifact.name for artifact in outputs)
    if not outputs:
        if returned is not None:
            raise StepError(f"{target} returned a value, but the step declares no outputs")
        return []
    if len(outputs) == 1:
        return [(outputs[0], returned)]
    if isinstance(returned, dict):
        unknown = [str(name) for name in returned if name not in {artifact.name for artifact in outputs}]
        if unknown:
            raise StepError(f"{target} returned {', '.join(unknown)}, but the step's outputs are {names}")
        missing = [artifact.name for artifact in outputs if artifact.name not in returned and not _may_lack(artifact)]
        if missing:
            raise StepError(f"{target} returned no {', '.join(missing)}; the step's outputs are {names}")
        return [(artifact, returned.get(artifact.name)) for artifact in outputs]
    if isinstance(returned, tuple) and len(returned) == len(outputs):
        return list(zip(outputs, returned))
    if returned is None and all(_may_lack(artifact) for artifact in outputs):
        return []
    found = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
    raise StepError(
        f"{target} returned {found}, but the step has {len(outputs)} outputs: "
        f"return a tuple in this order, or a dictionary with these keys: {names}"
    )


def _may_lack(artifact):
    """Files and folders may have been written to their place by the function itself."""
    return artifact.optional or artifact.type in ("file", "folder")


def _write_json(path, value):
    with path.open("w", encoding="utf-8") as file:
        # NaN is no JSON: other readers would fail on it.
        json.dump(value, file, ensure_ascii=False, allow_nan=False, default=_as_json)


def _as_json(value):
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return value.tolist()
    if hasattr(value, "isoformat"):  # dates and times
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a value of type {type(value).__name__} is not JSON")


def _write_csv(path, rows):
    if hasattr(rows, "to_csv"):  # pandas
        rows.to_csv(path, index=False)
        return
    if isinstance(rows, (str, bytes, dict)):
        raise TypeError(f"expected a list of rows, got {type(rows).__name__}")
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        if rows and isinstance(rows[0], dict):
            # Columns in the order in which they first appear in any row.
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
        else:
            csv.writer(file).writerows(rows)


def _write_text(path, value):
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {type(value).__name__}")
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(value)


def _write_lines(path, lines):
    with path.open("w", encoding="utf-8", newline="") as file:
        for line in lines:
            if "\n" in line:
                raise ValueError(f"the line {line!r} holds a line break")
            file.write(f"{line}\n")


def _write_bytes(path, value):
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected bytes, got {type(value).__name__}")
    path.write_bytes(value)


def _write_pickle(path, value):
    with path.open("wb") as file:
        pickle.dump(value, file)


def _place(path, value):
    """A function returns the path of what it wrote; unless that is the output's own place, it is copied there."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"expected the path of what was written, got {type(value).__name__}")
    source = Path(value)
    if not source.exists():
        raise ValueError(f"there is nothing at {source}")
    if path.exists() and source.resolve() == path.resolve():
        return
    if source.is_dir():
        shutil.copytree(source, path, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, path)


WRITERS = {
    "file": _place,
    "folder": _place,
    "json": _write_json,
    "text": _write_text,
    "lines": _write_lines,
    "bytes": _write_bytes,
    "csv": _write_csv,
    "pickle": _write_pickle,
}
