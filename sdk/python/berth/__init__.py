"""Berth: what the Python code of a step may use, and pipelines written in Python.

    import berth

    def train(rows: list, seed: int) -> dict:
        berth.progress(0, len(rows))
        if not rows:
            raise berth.BusinessError("no rows to learn from")
        berth.metric("auc", 0.93)
        berth.log.info("trained", rows=len(rows))
        return {"weights": [...]}

Nothing here needs Berth to be running: progress, metrics and logs are then shown on stderr.
"""

from typing import TYPE_CHECKING, Any

from berth.errors import BusinessError
from berth.logs import log
from berth.messages import metric, output, progress
from berth.step_context import batch, context, idempotency_key, input_path, output_path, params, secret, secret_bytes

if TYPE_CHECKING:
    from berth.authoring.pipeline import Pipeline as Pipeline
    from berth.authoring.problems import PipelineError as PipelineError
    from berth.authoring.step import step as step
    from berth.load_save import load as load
    from berth.load_save import save as save
    from berth.types.own_types import register_type as register_type

__version__ = "0.1.0"

# What is imported when it is used first, since most steps do without.
_LATER = {
    "Pipeline": "berth.authoring.pipeline",
    "PipelineError": "berth.authoring.problems",
    "step": "berth.authoring.step",
    "load": "berth.load_save",
    "save": "berth.load_save",
    "register_type": "berth.types.own_types",
}

__all__ = [
    "BusinessError",
    "Pipeline",
    "PipelineError",
    "batch",
    "context",
    "idempotency_key",
    "input_path",
    "load",
    "log",
    "metric",
    "output",
    "output_path",
    "params",
    "progress",
    "register_type",
    "save",
    "secret",
    "secret_bytes",
    "step",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'berth' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value
