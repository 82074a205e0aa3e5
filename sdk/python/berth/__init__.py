"""What the Python code of a step may import: `from berth import BusinessError, output_path`."""

from berth.errors import BusinessError
from berth.paths import input_path, output_path

__all__ = ["BusinessError", "input_path", "output_path"]
