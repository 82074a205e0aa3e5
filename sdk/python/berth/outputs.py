"""Outputs: what a function returned, by name, and written."""

from typing import Any, Dict, List, Tuple

from berth.annotations import Wanted
from berth.errors import StepError
from berth.invocation import Artifact
from berth.load_save import check_fit, save_artifact


def check_outputs(outputs: List[Artifact], wish: Wanted, target: str) -> None:
    """Refuses a return annotation that does not fit what is declared, before anything has run."""
    if len(outputs) == 1 and wish.kind not in ("none", "any"):
        check_fit(outputs[0].type, wish, f"what {target} returns", "output")


def write_outputs(outputs: List[Artifact], returned: Any, target: str) -> None:
    """Writes what the function returned: one value, a tuple in the declared order, or a dictionary by name."""
    for artifact, value in _values_by_output(outputs, returned, target):
        if value is None and _may_lack(artifact):
            continue
        save_artifact(artifact, value, target)


def _values_by_output(outputs: List[Artifact], returned: Any, target: str) -> List[Tuple[Artifact, Any]]:
    names = ", ".join(artifact.name for artifact in outputs)
    if not outputs:
        if returned is not None:
            raise StepError(f"{target} returned a value, but the step declares no outputs")
        return []
    if isinstance(returned, tuple) and hasattr(returned, "_asdict"):
        fields = returned._asdict()
        if set(fields) == {artifact.name.replace("-", "_") for artifact in outputs}:
            return _by_name(outputs, fields, names, target)
    if len(outputs) == 1:
        return [(outputs[0], returned)]
    if isinstance(returned, dict):
        return _by_name(outputs, returned, names, target)
    if isinstance(returned, tuple) and len(returned) == len(outputs):
        return list(zip(outputs, returned))
    if returned is None and all(_may_lack(artifact) for artifact in outputs):
        return []
    found = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
    raise StepError(
        f"{target} returned {found}, but the step has {len(outputs)} outputs: "
        f"return a tuple in this order, or a dictionary with these keys: {names}"
    )


def _by_name(outputs: List[Artifact], returned: Dict[str, Any], names: str, target: str) -> List[Tuple[Artifact, Any]]:
    by_identifier = {artifact.name.replace("-", "_"): artifact.name for artifact in outputs}
    given = {by_identifier.get(name, name): value for name, value in returned.items()}
    unknown = [str(name) for name in given if name not in {artifact.name for artifact in outputs}]
    if unknown:
        raise StepError(f"{target} returned {', '.join(unknown)}, but the step's outputs are {names}")
    missing = [artifact.name for artifact in outputs if artifact.name not in given and not _may_lack(artifact)]
    if missing:
        raise StepError(f"{target} returned no {', '.join(missing)}; the step's outputs are {names}")
    return [(artifact, given.get(artifact.name)) for artifact in outputs]


def _may_lack(artifact: Artifact) -> bool:
    """Files and folders may have been written to their place by the function itself."""
    return artifact.optional or artifact.type in ("file", "folder") or artifact.path.exists()
