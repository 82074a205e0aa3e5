"""Parquet: a frame of the library that an annotation names, or of one that is installed."""

from typing import Any

from berth.annotations import Wanted
from berth.types import frames
from berth.types.table import Schema, Type


def _load(path: Any, wish: Wanted) -> Any:
    found = frames.read_parquet(path, wish.kind)
    return frames.to_rows(found) if wish.kind == "list" else found


def _save(path: Any, value: Any) -> Schema:
    return frames.write_parquet(path, value)


PARQUET = Type(
    _load,
    _save,
    kinds=frozenset({"pandas", "polars", "polars-lazy", "arrow", "list"}),
    format="parquet",
    content_type="application/vnd.apache.parquet",
)
