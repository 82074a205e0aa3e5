"""Pipelines written in Python: what describes them, and what becomes a pipeline file by `berth compile`."""
