"""What the Python code of a step may import: `from berth_step import BusinessError, output_path`."""

from berth_step.errors import BusinessError
from berth_step.paths import input_path, output_path

__all__ = ["BusinessError", "input_path", "output_path"]
