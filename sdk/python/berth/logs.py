"""Structured logs: `berth.log.info("read", rows=3)`.

In Berth a line of stderr that is the character U+001E and JSON, which `berth logs` shows as a person reads it and gives to
programs with its fields. Elsewhere a plain line on stderr.
"""

import os
import sys
import time
from typing import Any, Dict

from berth.json_values import lenient_line

_MARK = "\u001e"
LINE_MAX_BYTES = 64 * 1024
_MESSAGE_MAX_CHARS = 8_000
_FIELD_MAX_CHARS = 2_000


class Log:
    """Writes structured lines. Fields are whatever JSON holds; all else is shown as text."""

    def debug(self, message: str, /, **fields: Any) -> None:
        """Details that help to find out what went wrong."""
        write("debug", message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """Something that went as it should."""
        write("info", message, fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        """Something that somebody should look at."""
        write("warning", message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        """Something that went wrong."""
        write("error", message, fields)

    def exception(self, message: str, /, **fields: Any) -> None:
        """The same inside of an `except`: with the exception and where it came from."""
        write("error", message, {**_exception_fields(sys.exc_info()), **fields})

    def handler(self, level: Any = 0) -> Any:
        """A handler for Python's own logging: `logging.getLogger().addHandler(berth.log.handler())`.

        What a call gives as `extra` becomes fields.
        """
        from berth.log_handler import LogHandler

        return LogHandler(level)


log = Log()


def write(level: str, message: Any, fields: Dict[str, Any]) -> None:
    """Writes one line, in one piece."""
    message = str(message)
    if "BERTH_MESSAGES" in os.environ:
        line = _structured(level, message, fields)
    else:
        line = " ".join([level.upper(), message, *(f"{name}={value}" for name, value in fields.items())])
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # Nobody reads it any more.


def _structured(level: str, message: str, fields: Dict[str, Any]) -> str:
    now = time.time()
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    content = {"level": level, "message": message, "fields": fields, "at": at}
    most = LINE_MAX_BYTES - 8
    line = lenient_line(content, most)
    if line is None:
        cut = {name: str(value)[:_FIELD_MAX_CHARS] for name, value in fields.items()}
        line = lenient_line({**content, "message": message[:_MESSAGE_MAX_CHARS], "fields": cut}, most)
    if line is None:
        left_out = {"left_out": f"{len(fields)} fields, which are too long for one line"}
        line = lenient_line({**content, "message": message[:_MESSAGE_MAX_CHARS], "fields": left_out}, most)
    return f"{_MARK}{line}"


def _exception_fields(info: Any) -> Dict[str, Any]:
    kind, error, frames = info
    if kind is None:
        return {}
    import traceback

    return {
        "error": "".join(traceback.format_exception_only(kind, error)).strip(),
        "traceback": "".join(traceback.format_tb(frames)).rstrip(),
    }
