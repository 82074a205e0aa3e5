"""Where a step is, and what it works on: what Berth says in variables."""

import os
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional


class Context(NamedTuple):
    """Of which run and step this process is an attempt."""

    pipeline: str
    run_id: str
    run_number: int
    step: str
    step_run: str
    attempt: int


def context() -> Optional[Context]:
    """Of which run and step this process is an attempt; None outside of Berth."""
    env = os.environ
    if "BERTH_STEP_RUN" not in env:
        return None
    return Context(
        pipeline=env.get("BERTH_PIPELINE", ""),
        run_id=env.get("BERTH_RUN_ID", ""),
        run_number=int(env.get("BERTH_RUN_NUMBER", "0")),
        step=env.get("BERTH_STEP", ""),
        step_run=env["BERTH_STEP_RUN"],
        attempt=int(env.get("BERTH_ATTEMPT", "1")),
    )


def params() -> Dict[str, Any]:
    """All parameters of the run by name; empty outside of Berth."""
    from berth.json_values import read_json

    return read_json(os.environ.get("BERTH_PARAMS") or "{}")


_own_key: Optional[str] = None


def idempotency_key() -> str:
    """The same for every attempt of this step run and for no other: hand it to services that you write to.

    Outside of Berth it is one of this process.
    """
    global _own_key
    key = os.environ.get("BERTH_IDEMPOTENCY_KEY")
    if key:
        return key
    if _own_key is None:
        _own_key = os.urandom(32).hex()
    return _own_key


def secret(name: str) -> str:
    """The value of a secret that this step names in its `secrets:`, as text, just as it was set."""
    return secret_bytes(name).decode("utf-8")


def secret_bytes(name: str) -> bytes:
    """The same as the bytes that it is. A secret that the step takes as a variable is in that alone."""
    folder = os.environ.get("BERTH_SECRETS")
    if folder is not None and name == os.path.basename(name):
        try:
            return Path(folder, name).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            pass
    where = "this step takes no file of that name" if context() else "outside of Berth, set BERTH_SECRETS to a folder with it"
    raise LookupError(f"there is no secret {name!r}: {where}")


def input_path(name: str) -> Path:
    """The path of an input: the file or the folder itself. Nothing is there if an optional output was left out."""
    return _path("INPUT", name)


def output_path(name: str) -> Path:
    """The path at which an output is to be written; the folder that it lies in is there."""
    path = _path("OUTPUT", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _path(kind: str, name: str) -> Path:
    variable = f"BERTH_{kind}_{name.upper().replace('-', '_')}"
    path = os.environ.get(variable)
    if path is not None:
        return Path(path)
    where = "this step declares none of that name" if context() else f"outside of Berth, set {variable}"
    raise LookupError(f"there is no {kind.lower()} {name!r}: {where}")


class Batch:
    """The part of a batch that this step run works on."""

    def __init__(self, index: int, count: int, path: Path, type: Optional[str]) -> None:  # noqa: A002
        self.index = index
        """Its place, from 0."""
        self.count = count
        """How many parts there are."""
        self.path = path
        """A file of the same format as the whole, or a folder with its files."""
        self.type = type
        """How the items are read: csv, json, lines or folder; None where only the step's own program knows."""

    def items(self, type: Optional[str] = None) -> Any:  # noqa: A002 - the word of the pipeline file
        """The rows, items or lines as a list; of a folder, the paths of its files."""
        from berth.load_save import load

        kind = type or self.type
        if kind is None:
            raise TypeError("name the type of the batch's items: csv, json, lines or folder")
        if kind == "folder":
            return sorted(path for path in self.path.rglob("*") if path.is_file())
        return load(self.path, kind)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items())


def batch() -> Optional[Batch]:
    """The part of a batch that this step run works on; None outside of one."""
    env = os.environ
    if "BERTH_BATCH_INDEX" not in env:
        return None
    return Batch(int(env["BERTH_BATCH_INDEX"]), int(env["BERTH_BATCH_COUNT"]), input_path("batch"), _batch_type())


def _batch_type() -> Optional[str]:
    text = os.environ.get("BERTH_INVOCATION")
    if text is None:
        return None
    from berth.json_values import read_json

    return next((item["type"] for item in read_json(text)["inputs"] if item["name"] == "batch"), None)
