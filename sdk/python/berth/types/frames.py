"""Tables of pandas, polars and pyarrow. A library is imported only where an annotation or a value is of it."""

from typing import Any, Dict, List, Mapping, Optional

from berth.types.table import UnfitValue, table_schema

def missing_library(what: str, *names: str) -> UnfitValue:
    """Says what to add to the environment."""
    return UnfitValue(f"{what} needs {' or '.join(names)}: add it to the packages of the step's environment")


def find_library(*names: str) -> Optional[str]:
    """The first of these that is installed."""
    import importlib.util

    return next((name for name in names if importlib.util.find_spec(name) is not None), None)


def read_csv(path: Any, kind: str) -> Any:
    """A CSV file as a frame, with the types that the library finds in it. An empty file is a frame without columns."""
    empty = path.stat().st_size == 0
    if kind == "pandas":
        import pandas

        return pandas.DataFrame() if empty else pandas.read_csv(path)
    if kind == "arrow":
        import pyarrow
        import pyarrow.csv

        return pyarrow.table({}) if empty else pyarrow.csv.read_csv(path)
    import polars

    frame = polars.DataFrame() if empty else _polars_csv(polars, path)
    return frame.lazy() if kind == "polars-lazy" else frame


def _polars_csv(polars: Any, path: Any) -> Any:
    try:
        return polars.read_csv(path)
    except polars.exceptions.PolarsError as error:
        raise ValueError(_first_line(error)) from error


def write_csv(path: Any, frame: Any) -> Mapping[str, Any]:
    """Writes a frame as CSV with one header."""
    library, frame = _library_of(frame)
    if library == "polars":
        frame.write_csv(path)
    elif library == "pyarrow":
        import pyarrow.csv

        pyarrow.csv.write_csv(frame, path)
    else:
        frame = _with_index(frame)
        frame.to_csv(path, index=False, lineterminator="\n")
    return schema_of(frame)


def _with_index(frame: Any) -> Any:
    """CSV has no index: one that has a name becomes columns, and one that is more than a count is told to be lost."""
    if any(name is not None for name in frame.index.names):
        return frame.reset_index()
    if type(frame.index).__name__ != "RangeIndex":
        from berth.logs import log

        log.warning("the index of a frame has no name and is not written to CSV: use reset_index(), or parquet")
    return frame


def read_parquet(path: Any, kind: str) -> Any:
    """A Parquet file as what is asked for, or else as what is installed."""
    if kind in ("any", "list"):
        library = find_library("pandas", "polars", "pyarrow") if kind == "any" else find_library("pyarrow", "polars", "pandas")
        kind = {"pandas": "pandas", "polars": "polars", "pyarrow": "arrow", None: ""}[library]
    if kind == "pandas":
        import pandas

        if find_library("pyarrow", "fastparquet") is None:
            raise missing_library("parquet in pandas", "pyarrow")
        return pandas.read_parquet(path)
    if kind == "arrow":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path)
    if kind.startswith("polars"):
        import polars

        # The file may be replaced while it is mapped: it is read whole.
        try:
            frame = polars.read_parquet(path, memory_map=False)
        except polars.exceptions.PolarsError as error:
            raise ValueError(_first_line(error)) from error
        return frame.lazy() if kind == "polars-lazy" else frame
    raise missing_library("parquet", "pandas with pyarrow", "polars", "pyarrow")


def to_rows(frame: Any) -> List[Dict[str, Any]]:
    """Rows as dictionaries, with Python's own values."""
    if hasattr(frame, "to_pylist"):
        return frame.to_pylist()
    return frame.to_dicts() if hasattr(frame, "to_dicts") else frame.to_dict("records")


def write_parquet(path: Any, value: Any) -> Mapping[str, Any]:
    """Writes a frame, or rows, as Parquet."""
    library, frame = _library_of(_from_rows(value))
    if library == "polars":
        frame.write_parquet(path)
    elif library == "pyarrow":
        import pyarrow.parquet

        pyarrow.parquet.write_table(frame, path)
    else:
        if find_library("pyarrow", "fastparquet") is None:
            raise ValueError("pandas needs pyarrow for parquet: add it to the packages of the step's environment")
        frame.to_parquet(path)
    return schema_of(frame)


def _from_rows(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    library = find_library("pyarrow", "polars")
    if library == "pyarrow":
        import pyarrow

        return pyarrow.Table.from_pylist(list(value))
    if library == "polars":
        import polars

        return polars.from_dicts(list(value))
    raise ValueError("rows need pyarrow or polars to become parquet: add one to the packages of the step's environment")


def _library_of(value: Any) -> Any:
    """The library of a frame, and the frame itself, computed if it is lazy."""
    for base in type(value).__mro__:
        library = base.__module__.split(".")[0]
        if library == "polars" and base.__name__ == "LazyFrame":
            return library, value.collect()
        if library == "polars" and base.__name__ == "DataFrame":
            return library, value
        if library == "pyarrow" and base.__name__ == "Table":
            return library, value
        if library == "pandas" and base.__name__ == "DataFrame":
            return library, value
        if library == "pandas" and base.__name__ == "Series":
            return library, value.to_frame(value.name if value.name is not None else "value")
    raise TypeError(f"expected a table of pandas, polars or pyarrow, or a list of rows, got {type(value).__name__}")


def schema_of(frame: Any) -> Mapping[str, Any]:
    """Columns with their types, and the number of rows."""
    if hasattr(frame, "schema") and hasattr(frame, "num_rows"):  # pyarrow
        columns = [{"name": field.name, "type": str(field.type)} for field in frame.schema]
        rows = frame.num_rows
    elif hasattr(frame, "estimated_size"):  # polars
        columns = [{"name": name, "type": str(kind)} for name, kind in frame.schema.items()]
        rows = frame.height
    else:
        columns = [{"name": str(name), "type": str(kind)} for name, kind in frame.dtypes.items()]
        rows = len(frame)
    return table_schema(columns, rows)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
