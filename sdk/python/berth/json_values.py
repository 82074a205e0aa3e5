"""What is JSON, and how Python's other values become it."""

import json
import math
from typing import Any

_COMPACT = (",", ":")


def to_json(value: Any) -> str:
    """Compact JSON, the same bytes as JSON.stringify gives; NaN is refused, since other readers would fail on it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=_COMPACT, default=as_json)


def as_json(value: Any) -> Any:
    """A value of JSON for one that json does not know. Told by what it can do, so that no library is imported."""
    import dataclasses

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if is_frame(value):
        raise TypeError(f"a {type(value).__name__} is not JSON: declare the type csv or parquet")
    if hasattr(value, "detach"):  # torch
        value = value.detach()
    if hasattr(value, "tolist"):  # NumPy, torch
        return value.tolist()
    if hasattr(value, "isoformat"):  # dates and times
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return _sorted(value)
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise TypeError(
        f"a value of type {type(value).__name__} is not JSON: return what JSON holds, register a type of your own "
        "(berth.register_type), or declare type: pickle where all readers may run this step's code"
    )


def _sorted(values: Any) -> list:
    try:
        return sorted(values)
    except TypeError as error:
        raise TypeError(f"a set of values that have no order is not JSON: {error}") from error


def is_frame(value: Any) -> bool:
    """Whether it is a table of pandas, polars or pyarrow."""
    return type(value).__module__.split(".")[0] in ("pandas", "polars", "pyarrow") and hasattr(value, "columns")


def lenient_line(content: dict, max_bytes: int) -> "str | None":
    """One line of JSON in ASCII, whatever is in it; None when it has more bytes than that."""
    line = json.dumps(_finite(content), separators=_COMPACT, default=_as_text)
    return line if len(line) <= max_bytes else None


def _as_text(value: Any) -> Any:
    try:
        return _finite(as_json(value))
    except Exception:
        return str(value)


def _finite(value: Any) -> Any:
    """JSON has no NaN; in a log it is better shown as a text than not at all."""
    if isinstance(value, float) and not math.isfinite(value):
        return number_text(value)
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def number_text(value: float) -> str:
    """How numbers that JSON lacks are written as text."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def read_json(text: str) -> Any:
    """Strict: NaN and Infinity, which Python's own reader takes, are no JSON."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
