"""A pipeline without a line of YAML: berth run examples/python/wine.py

Rows are made, handed on as a pandas frame, learned from by two models at once, and the better one is reported. pandas is
installed in the image of the steps; the machine that starts the run need not have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List

import berth

if TYPE_CHECKING:
    import pandas as pd


@berth.step(cache=True)
def prepare(seed: int) -> pd.DataFrame:
    """What is learned from: sweetness and age, and whether people liked it."""
    import random

    import pandas as pd

    draw = random.Random(seed)
    rows = [{"sugar": draw.uniform(0, 9), "age": draw.randint(1, 30)} for _ in range(500)]
    frame = pd.DataFrame(rows)
    frame["liked"] = frame["sugar"] * 3 + frame["age"] + [draw.gauss(0, 4) for _ in rows] > 30
    berth.log.info("made", rows=len(frame), liked=int(frame["liked"].sum()))
    return frame


@berth.step(matrix={"feature": ["sugar", "age"]}, resources={"timeout": "5m"})
def train(rows: pd.DataFrame, feature: str) -> Dict[str, float | str]:
    """The best limit for one feature."""
    if rows["liked"].nunique() < 2:
        raise berth.BusinessError("everybody agrees, so there is nothing to learn")
    limits = sorted(rows[feature].unique())[:100]
    best = {"feature": feature, "limit": 0.0, "accuracy": 0.0}
    for done, limit in enumerate(limits, 1):
        accuracy = float(((rows[feature] > limit) == rows["liked"]).mean())
        if accuracy > best["accuracy"]:
            best.update(limit=float(limit), accuracy=accuracy)
        berth.progress(done, len(limits))
    berth.metric("accuracy", best["accuracy"])
    return best


@berth.step(outputs="report.md")
def report(models: List[dict]) -> str:
    """All models, the best one first."""
    ranked = sorted(models, key=lambda model: -model["accuracy"])
    return "".join(f"- {model['feature']} > {model['limit']:.1f}: {model['accuracy']:.0%} right\n" for model in ranked)


with berth.Pipeline(
    "wine-python",
    description="Which feature says best whether people like a wine?",
    params={"seed": {"type": "integer", "default": 7, "description": "decides the rows"}},
    environment={"base": "python:3.12-slim", "python": {"packages": ["pandas>=2", "pyarrow>=15"]}},
):
    report(train(prepare()))
