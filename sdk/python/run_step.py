"""The program of a step that is a Python function: reads BERTH_INVOCATION and calls the function.

Berth mounts this folder and runs `python3 -B /berth-sdk/run_step.py`. Being started by its path puts this folder on
sys.path, so nothing has to be installed in the image, and PYTHONPATH stays the user's own.
"""

import sys

if sys.version_info < (3, 9):
    sys.exit("berth: functions need Python 3.9 or later, and this environment has %s" % sys.version.split()[0])

from berth.runner import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
