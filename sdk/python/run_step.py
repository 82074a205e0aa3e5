"""The program of a step that is a Python function: reads BERTH_INVOCATION and calls the function.

Berth mounts this folder and runs `python3 -B /berth-sdk/run_step.py`. Being started by its path puts this folder on
sys.path, so nothing has to be installed in the image, and PYTHONPATH stays the user's own.
"""

import sys

from berth.runner import main

if __name__ == "__main__":
    sys.exit(main())
