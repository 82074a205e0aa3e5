"""CSV: rows as dictionaries of texts, objects of a dataclass, or a frame of the library that an annotation names."""

import csv
import dataclasses
from typing import Any, Dict, Iterable, List

from berth.annotations import Wanted
from berth.json_values import is_frame, number_text
from berth.types.table import Schema, Type, table_schema

# Enough to tell a text from an image or an archive.
_HEAD_BYTES = 64 * 1024
# One cell may hold a whole document.
csv.field_size_limit(2**31 - 1)


def _load(path: Any, wish: Wanted) -> Any:
    _refuse_binary(path)
    if wish.kind in ("pandas", "polars", "polars-lazy", "arrow"):
        from berth.types import frames

        return frames.read_csv(path, wish.kind)
    rows = read_rows(path)
    if wish.item is not None and wish.item.kind == "object":
        from berth.types.objects import to_rows

        return to_rows(rows, wish.item.cls)
    return rows


def _refuse_binary(path: Any) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if b"\0" in head:
        raise ValueError("it is no text: it holds zero bytes")


def read_rows(path: Any) -> List[Dict[str, str]]:
    """Rows by the names of the header. What is not quite CSV is refused, with its line, and never read some other way."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            header = next((row for row in lines if row), None)
            if header is None:
                return []
            _check_header(header)
            return [dict(zip(header, _checked(row, header, lines.line_num))) for row in lines if row]
        except csv.Error as error:
            raise ValueError(f"line {lines.line_num}: {error}") from error


def _check_header(header: List[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ValueError(f"its header names {', '.join(map(repr, twice))} more than once")


def _checked(row: List[str], header: List[str], line: int) -> List[str]:
    if len(row) != len(header):
        cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
        raise ValueError(f"line {line} has {cells}, and the header has {len(header)}")
    return row


def _save(path: Any, value: Any) -> Schema:
    if is_frame(value) or hasattr(value, "to_csv"):
        from berth.types import frames

        return frames.write_csv(path, value)
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise TypeError(f"expected a list of rows, got {type(value).__name__}")
    return _write_rows(path, list(value))


def _write_rows(path: Any, rows: List[Any]) -> Schema:
    rows = [_as_dict(row) for row in rows]
    columns = None
    if rows and isinstance(rows[0], dict):
        # Columns in the order in which they first appear in any row.
        columns = list(dict.fromkeys(name for row in rows for name in _names(row)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if columns is not None:
            writer.writerow([str(name) for name in columns])
        for number, row in enumerate(rows, 1):
            cells = row if columns is None else [row.get(name) for name in columns]
            writer.writerow(_cells(number, cells))
    if columns is None:
        return {"rows": max(len(rows) - 1, 0)}
    return table_schema([{"name": str(name)} for name in columns], len(rows))


def _as_dict(row: Any) -> Any:
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    if hasattr(row, "model_dump"):
        return row.model_dump()
    if hasattr(row, "_asdict"):
        return row._asdict()
    return row


def _names(row: Any) -> Iterable[Any]:
    if not isinstance(row, dict):
        raise TypeError(f"rows are either all dictionaries or all lists; one is a {type(row).__name__}")
    return row


def _cells(number: int, row: Any) -> List[str]:
    if isinstance(row, (str, bytes, dict)) or not hasattr(row, "__iter__"):
        raise TypeError(f"row {number} is no list of cells but {type(row).__name__}")
    return [_cell(number, value) for value in row]


def _cell(number: int, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value - value != 0:
        return number_text(value)
    if isinstance(value, (dict, list, tuple, set, bytes)):
        raise TypeError(f"a cell of row {number} is a {type(value).__name__}, and CSV holds texts and numbers: use json")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


CSV = Type(
    _load,
    _save,
    kinds=frozenset({"list", "pandas", "polars", "polars-lazy", "arrow"}),
    format="csv",
    content_type="text/csv",
)
