"""What a step tells while it runs: progress, metrics, and what its outputs are.

In Berth they are lines of JSON in the file that BERTH_MESSAGES names. Elsewhere they are shown on stderr. Telling something
never fails a step: what cannot be told is said in the log.
"""

import os
import sys
import time
from typing import Any, Dict, Mapping, Optional, Set, Union

from berth.json_values import lenient_line

# What an agent takes of one line; see docs/steps.md.
LINE_MAX_BYTES = 64 * 1024
SCHEMA_MAX_BYTES = 32 * 1024
# Progress is for people to watch: after so many messages, no more than one per interval is written.
PROGRESS_FREE = 100
PROGRESS_INTERVAL_S = 0.1

Number = Union[int, float]


def progress(done: Optional[Number] = None, total: Optional[Number] = None, message: Optional[str] = None) -> None:
    """Says how far the step is, in units of its own: `berth.progress(3, 10)`, `berth.progress(message="loading")`."""
    if done is None and message is None:
        raise TypeError("progress() needs how much is done, or a message")
    content = {
        "done": _amount("done", done),
        "total": _amount("total", total),
        "message": None if message is None else str(message)[:500],
    }
    _progress.tell({"type": "progress", **{key: value for key, value in content.items() if value is not None}})


def metric(name: str, value: Number, step: Optional[Number] = None) -> None:
    """Records a value of a metric: `berth.metric("auc", 0.93)`, `berth.metric("loss", loss, step=epoch)`."""
    if not isinstance(name, str) or not name or len(name) > 200 or any(ord(c) < 32 for c in name):
        raise ValueError(f"a metric has a name of 1 to 200 characters on one line, not {name!r}")
    number = _number("value", value)
    if number != number or number in (float("inf"), float("-inf")):
        from berth.logs import log

        log.warning(f"the metric {name} is {number}, which is no number to keep: it is not recorded")
        return
    content: Dict[str, Any] = {"type": "metric", "name": name, "value": number}
    if step is not None:
        content["step"] = _number("step", step)
    at = "" if step is None else f" (step {content['step']})"
    tell(content, f"metric: {name} = {number}{at}")


_noted: Dict[str, Dict[str, Any]] = {}


def output(
    name: str,
    *,
    tags: Optional[Mapping[str, Any]] = None,
    content_type: Optional[str] = None,
    schema: Optional[Mapping[str, Any]] = None,
    format: Optional[str] = None,  # noqa: A002 - the word of the message
) -> None:
    """Says what an output is: `berth.output("model", tags={"stage": "trial"}, content_type="application/x-onnx")`.

    Saying more later adds to it. It counts for the version that this attempt makes.
    """
    given = {"contentType": content_type, "tags": tags and dict(tags), "schema": schema, "format": format}
    known = _noted.setdefault(name, {})
    tags_before = known.get("tags", {})
    known.update({key: value for key, value in given.items() if value is not None})
    if tags:
        known["tags"] = {**tags_before, **tags}
    tell({"type": "output", "name": name, **known}, f"output: {name} {known}")


def describe_output(name: str, found: Mapping[str, Any]) -> None:
    """What the SDK found out about an output that it wrote; what the step said itself counts more."""
    known = {key: value for key, value in found.items() if value is not None}
    if not known:
        return
    known.update(_noted.get(name, {}))
    if "schema" in known and lenient_line(known["schema"], SCHEMA_MAX_BYTES) is None:
        del known["schema"]
    tell({"type": "output", "name": name, **known}, None)


class _Progress:
    """Writes progress, but not more of it than anybody watches; the newest that was held back is written at the end."""

    def __init__(self) -> None:
        self.count = 0
        self.written_at = 0.0
        self.held: Optional[Dict[str, Any]] = None

    def tell(self, content: Dict[str, Any]) -> None:
        now = time.monotonic()
        self.count += 1
        is_last = "total" in content and content.get("done", 0) >= content["total"]
        free = self.count <= PROGRESS_FREE and "BERTH_MESSAGES" in os.environ
        if free or is_last or now - self.written_at >= PROGRESS_INTERVAL_S:
            self.written_at, self.held = now, None
            tell(content, _shown(content))
            return
        if self.count == PROGRESS_FREE + 1 or self.held is None:
            import atexit

            atexit.unregister(self.flush)
            atexit.register(self.flush)
        self.held = content

    def flush(self) -> None:
        held, self.held = self.held, None
        if held is not None:
            tell(held, _shown(held))


_progress = _Progress()


def flush() -> None:
    """Writes what was held back."""
    _progress.flush()


def _shown(content: Mapping[str, Any]) -> str:
    total = f"/{content['total']}" if "total" in content else ""
    done = f"{content['done']}{total}" if "done" in content else ""
    return "progress: " + " ".join(part for part in (done, content.get("message")) if part)


def tell(content: Dict[str, Any], elsewhere: Optional[str]) -> bool:
    """Appends one message; outside of Berth, shows `elsewhere`. False when it is longer than a line may be."""
    path = os.environ.get("BERTH_MESSAGES")
    if not path:
        if elsewhere is not None:
            print(elsewhere, file=sys.stderr, flush=True)
        return True
    line = lenient_line(content, LINE_MAX_BYTES - 1)
    if line is None:
        _complain(f"a message of type {content['type']} is longer than {LINE_MAX_BYTES} bytes and was left out")
        return False
    try:
        # One write to a file opened for appending: lines of several threads and processes stay whole.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode("ascii") + b"\n")
        finally:
            os.close(file)
    except OSError as error:
        _complain(f"what the step tells cannot be written: {error}")
    return True


_complaints: Set[str] = set()


def _complain(message: str) -> None:
    """Once each."""
    if message not in _complaints:
        _complaints.add(message)
        print(f"berth: warning: {message}", file=sys.stderr, flush=True)


def _amount(what: str, value: Any) -> Optional[Number]:
    if value is None:
        return None
    number = _number(what, value)
    if not 0 <= number < float("inf"):
        raise ValueError(f"{what} is a number from 0 on, not {number}")
    return number


def _number(what: str, value: Any) -> Number:
    """Plain numbers, and those of NumPy and torch, which know how to become one."""
    if not isinstance(value, (str, bytes, bool)):
        if hasattr(value, "__index__"):
            return int(value.__index__())
        if hasattr(value, "__float__"):
            return float(value)
    raise TypeError(f"{what} is a number, not {value!r}")
