"""Python's own logging, written as structured lines."""

import logging

from berth.logs import _exception_fields, write

# What every record has; all else came with the call, as `extra`.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class LogHandler(logging.Handler):
    """Hands records of the standard library's logging to Berth, with what their call gave as `extra` as fields."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {name: value for name, value in record.__dict__.items() if name not in _OWN}
            if record.name != "root":
                fields["logger"] = record.name
            if record.exc_info:
                fields.update(_exception_fields(record.exc_info))
            write(_level(record.levelno), record.getMessage(), fields)
        except Exception:
            self.handleError(record)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
