"""The program that `berth compile FILE.py` runs: describes the pipeline of a file as JSON.

Being started by its path puts this folder on sys.path, so the package need not be installed.
"""

import sys

from berth.authoring.compile_program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
