"""Text, lines, and bytes."""

from typing import Any, List

from berth.annotations import Wanted
from berth.types.table import Schema, Type


def _load_text(path: Any, wish: Wanted) -> str:
    # Read as it is: no line ends are changed.
    return path.read_bytes().decode("utf-8")


def _save_text(path: Any, value: Any) -> Schema:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {type(value).__name__}")
    path.write_bytes(value.encode("utf-8"))
    return None


def _load_lines(path: Any, wish: Wanted) -> List[str]:
    # Not splitlines(), which also splits at characters that end no line in a file.
    lines = _load_text(path, wish).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _save_lines(path: Any, lines: Any) -> Schema:
    if isinstance(lines, (str, bytes, dict)):
        raise TypeError(f"expected a list of lines, got {type(lines).__name__}")
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for count, line in enumerate(lines, 1):
            if not isinstance(line, str):
                raise TypeError(f"line {count} is no text but {type(line).__name__}")
            if "\n" in line:
                raise ValueError(f"line {count} holds a line break")
            file.write(f"{line}\n")
    return {"lines": count}


def _load_bytes(path: Any, wish: Wanted) -> Any:
    content = path.read_bytes()
    return content if wish.cls in (None, bytes) else wish.cls(content)


def _save_bytes(path: Any, value: Any) -> Schema:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected bytes, got {type(value).__name__}")
    path.write_bytes(value)
    return None


TEXT = Type(_load_text, _save_text, kinds=frozenset({"str"}))
LINES = Type(_load_lines, _save_lines, kinds=frozenset({"list"}), format="lines")
BYTES = Type(_load_bytes, _save_bytes, kinds=frozenset({"bytes"}))
