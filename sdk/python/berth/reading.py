"""Inputs, from files to Python values."""

import csv
import json
import pickle

from berth.errors import StepError


def read_input(artifact):
    """The value of an input, by its declared type; None when its producer left out an optional output."""
    if not artifact.path.exists():
        return None
    if artifact.type not in READERS:
        raise StepError(f"the input {artifact.name!r} is of type {artifact.type}, which cannot be read: give it type file")
    try:
        return READERS[artifact.type](artifact.path)
    except (OSError, ValueError, EOFError, csv.Error, pickle.UnpicklingError) as error:
        raise StepError(f"the input {artifact.name!r} cannot be read as {artifact.type}: {error}") from error


def _read_json(path):
    with path.open(encoding="utf-8") as file:
        return json.load(file)


def _read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _read_lines(path):
    # Not splitlines(), which also splits at characters that end no line in a file.
    with path.open(encoding="utf-8", newline="\n") as file:
        return [line[:-1] if line.endswith("\n") else line for line in file]


def _read_pickle(path):
    with path.open("rb") as file:
        return pickle.load(file)


READERS = {
    "file": lambda path: path,
    "folder": lambda path: path,
    "json": _read_json,
    "text": lambda path: path.read_text(encoding="utf-8"),
    "bytes": lambda path: path.read_bytes(),
    "csv": _read_csv,
    "lines": _read_lines,
    "pickle": _read_pickle,
}
