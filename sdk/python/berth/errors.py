"""How a step says what went wrong."""

import os

# The exit code that stands for a business error; every other one but 0 is an application error.
BUSINESS_EXIT_CODE = 65

# More than anybody reads, and well below what Berth accepts.
MESSAGE_MAX_CHARS = 4000


class BusinessError(Exception):
    """The step did what it should, and the data or a rule is wrong: trying again would change nothing."""


class StepError(Exception):
    """The step does not fit its declaration, which is for its author to mend; shown without a traceback."""


def write_error_file(kind: str, message: str) -> None:
    """Leaves the message where Berth finds it; what cannot be written is in the log all the same."""
    folder = os.environ.get("BERTH_DIR")
    if not folder:
        return
    import json

    content = json.dumps({"type": kind, "message": message[:MESSAGE_MAX_CHARS] or kind})
    try:
        with open(os.path.join(folder, "error.json"), "w", encoding="utf-8") as file:
            file.write(content)
    except OSError:
        pass
