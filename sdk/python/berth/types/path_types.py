"""Files and folders, handed over as paths, or for a folder as what its files hold."""

import os
import shutil
from pathlib import Path
from typing import Any

from berth.annotations import Wanted
from berth.types.table import Schema, Type, UnfitValue, type_named, type_of_path


def _load_file(path: Path, wish: Wanted) -> Any:
    return path


def _load_folder(path: Path, wish: Wanted) -> Any:
    """A list has what its files hold, in the order of their names; a dictionary has it by name, without the ending."""
    if not path.is_dir():
        raise UnfitValue("it is no folder")
    if wish.kind not in ("list", "dict"):
        return path
    entries = sorted(entry for entry in path.iterdir())
    values = [_load_entry(entry, wish) for entry in entries]
    if wish.kind == "list":
        return values
    return {(entry.name if entry.is_dir() else entry.stem): value for entry, value in zip(entries, values)}


def _load_entry(entry: Path, wish: Wanted) -> Any:
    item = wish.item
    if item is not None and item.kind == "path":
        return entry
    declared = wish.declared or (item.declared if item is not None else None)
    kind = declared or type_of_path(entry)
    if kind == "pickle" and declared is None:
        raise UnfitValue(
            f"{entry.name} is a pickle, and reading it runs whatever code is in it: "
            'where you trust the step that wrote it, annotate Annotated[list, "pickle"]'
        )
    try:
        return type_named(kind).load(entry, item or Wanted("any"))
    except (OSError, ValueError, EOFError) as error:
        raise UnfitValue(f"{entry.name} cannot be read as {kind}: {error}") from error


def _place(path: Path, value: Any) -> Schema:
    """A function returns the path of what it wrote; unless that is the output's own place, it is copied there."""
    if value is None:
        return None  # It was written in its place, which Berth looks at.
    if not isinstance(value, (str, os.PathLike)):
        kind = type(value).__name__
        raise TypeError(f"expected the path of what was written, got {kind}; another type writes the value itself")
    source = Path(value)
    if not source.exists():
        raise ValueError(f"there is nothing at {source}")
    if path.exists() and source.resolve() == path.resolve():
        return None
    if source.is_dir():
        shutil.copytree(source, path, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(source, path)
    return None


FILE = Type(_load_file, _place, kinds=frozenset({"path"}))
FOLDER = Type(_load_folder, _place, kinds=frozenset({"path", "list", "dict"}))
