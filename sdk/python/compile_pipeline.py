"""The program that `berth compile FILE.py` runs: describes the pipeline of a file as JSON.

Being started by its path puts this folder on sys.path, so the package need not be installed.
"""

import sys

if sys.version_info < (3, 9):
    sys.exit("berth: pipelines need Python 3.9 or later, and %s is %s: choose another by --python" % (sys.executable, sys.version.split()[0]))

from berth.authoring.compile_program import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
