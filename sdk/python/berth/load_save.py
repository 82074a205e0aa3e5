"""Reading and writing of artifacts by their types: for steps, and for any program (`berth.load`, `berth.save`)."""

import os
from pathlib import Path
from typing import Any, Optional, Union

from berth.annotations import ANY, TYPES_OF_KIND, Wanted, wanted
from berth.errors import StepError
from berth.invocation import Artifact
from berth.types.table import Type, UnfitValue, type_named, type_of_path

# What goes wrong with the content of a file, and not with this program: pandas' and pyarrow's errors are ValueErrors.
_CONTENT_ERRORS = (OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, RecursionError)


def load(
    path: Union[str, "os.PathLike[str]"],
    type: Optional[str] = None,  # noqa: A002 - the word of the pipeline file
    as_type: Any = Any,
    *,
    allow_pickle: bool = False,
) -> Any:
    """Reads a file or folder: `berth.load("rows.csv")`, `berth.load(path, "parquet", pandas.DataFrame)`.

    Without a type, it is told by the ending. `as_type` is what an annotation would be. A pickle is read only with
    `allow_pickle=True`, since that runs the code in it.
    """
    kind = type or type_of_path(path)
    if kind == "pickle" and not allow_pickle:
        raise ValueError(
            f"{os.fspath(path)} is a pickle, and reading it runs whatever code is in it: "
            "where you trust all who could have written it, say allow_pickle=True"
        )
    return load_artifact(Artifact(str(path), kind, Path(path)), wanted(as_type), ValueError)


def save(
    path: Union[str, "os.PathLike[str]"],
    value: Any,
    type: Optional[str] = None,  # noqa: A002 - the word of the pipeline file
) -> None:
    """Writes a file or folder: `berth.save("rows.csv", rows)`. Without a type, it is told by the ending."""
    kind = type or type_of_path(path)
    target = Path(path)
    try:
        type_named(kind).save(target, value)
    except _CONTENT_ERRORS as error:
        raise ValueError(f"{target} cannot be written as {kind}: {error}") from error


def check_fit(declared: str, wish: Wanted, what: str, which: str) -> None:
    """Refuses an annotation that the declared type cannot fulfil. `which` is "input" or "output"."""
    if wish.declared is not None and wish.declared != declared and declared not in ("file", "folder"):
        raise StepError(f"{what} is annotated as {wish.declared}, but the {which} is declared as {declared}")
    effective = _effective(declared, wish)
    if wish.kind in ("any", "none") or (wish.kind == "path" and effective != "pickle") or type_named(effective).takes(wish):
        return
    suits = TYPES_OF_KIND.get(wish.kind)
    verb = "read from" if which == "input" else "written as"
    could = f", which is {verb} {' or '.join(suits)}," if suits else ""
    advice = "" if suits else ": use a dataclass with json, or register a type of your own"
    raise StepError(f"{what} is annotated {wish.shown}{could} but the {which} is declared as {declared}{advice}")


def load_artifact(artifact: Artifact, wish: Wanted = ANY, error_class: Any = StepError) -> Any:
    """The value of an artifact that is there, as what its reader wants."""
    if wish.kind == "path":
        return artifact.path
    kind = _effective(artifact.type, wish)
    known = _type(kind)
    if known.own:
        return known.load(artifact.path, wish)
    try:
        return known.load(artifact.path, wish)
    except UnfitValue as error:
        raise error_class(f"{artifact.name!r}: {error}") from error
    except _CONTENT_ERRORS as error:
        raise error_class(f"the input {artifact.name!r} cannot be read as {kind}: {_words(error)}") from error


def save_artifact(artifact: Artifact, value: Any, target: str) -> None:
    """Writes an output, and says what it is."""
    from berth.messages import describe_output

    if value is None and artifact.type not in ("json", "pickle"):
        raise StepError(f"{target} returned nothing for the output {artifact.name!r}, which is of type {artifact.type}")
    known = _type(artifact.type)
    artifact.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        schema = known.save(artifact.path, value)
    except UnfitValue as error:
        raise StepError(f"{artifact.name!r}: {error}") from error
    except _CONTENT_ERRORS as error:
        message = f"the output {artifact.name!r} of {target} cannot be written as {artifact.type}: {_words(error)}"
        if known.own:
            raise
        raise StepError(message) from error
    if known.format is not None:
        found = {"format": known.format, "contentType": known.content_type, "schema": schema}
        describe_output(artifact.name, found)


def _effective(declared: str, wish: Wanted) -> str:
    """A file or folder is what the annotation says that it holds."""
    return wish.declared if wish.declared is not None and declared == "file" else declared


def _type(name: str) -> Type:
    try:
        return type_named(name)
    except LookupError as error:
        raise StepError(str(error)) from error


def _words(error: BaseException) -> str:
    """KeyError shows its argument alone, and many errors have more lines than a sentence."""
    text = f"there is no {error}" if isinstance(error, KeyError) else str(error)
    return text or type(error).__name__
