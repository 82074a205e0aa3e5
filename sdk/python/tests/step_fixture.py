"""What tests of steps have in common: a step as Berth starts it, a process with BERTH_INVOCATION in its environment."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

RUNNER = Path(__file__).resolve().parent.parent / "run_step.py"


class StepTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("in", "out", "source"):
            (self.folder / name).mkdir()

    def run_step(self, code, function="step", *, inputs=None, outputs=None, values=None):
        """Writes the module `steps`, calls its function, and returns the finished process."""
        (self.folder / "source" / "steps.py").write_text(textwrap.dedent(code), encoding="utf-8")
        declared_inputs = []
        for name, (kind, content) in (inputs or {}).items():
            path = self.folder / "in" / name
            if isinstance(content, Path):
                path = content
            elif content is not None:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
            declared_inputs.append({"name": name, "type": kind, "path": str(path)})
        declared_outputs = [
            {"name": name, "type": kind.rstrip("?"), "path": str(self.out(name)), "optional": kind.endswith("?")}
            for name, kind in (outputs or {}).items()
        ]
        invocation = {
            "module": "steps",
            "function": function,
            "inputs": declared_inputs,
            "outputs": declared_outputs,
            "values": values or {},
        }
        return self.start(invocation)

    def start(self, invocation):
        env = {
            "PATH": os.environ["PATH"],
            "BERTH_DIR": str(self.folder),
            "BERTH_INVOCATION": json.dumps(invocation),
            "BERTH_MESSAGES": str(self.folder / "messages.jsonl"),
            "BERTH_OUTPUT_OUT": str(self.out("out")),
        }
        command = [sys.executable, "-B", str(RUNNER)]
        return subprocess.run(command, cwd=self.folder / "source", env=env, capture_output=True, text=True, timeout=60)

    def out(self, name):
        return self.folder / "out" / name

    def error_file(self):
        return json.loads((self.folder / "error.json").read_text(encoding="utf-8"))

    def described(self, name="out"):
        """What was said of an output."""
        lines = (self.folder / "messages.jsonl").read_text().splitlines()
        return [message for message in map(json.loads, lines) if message.get("name") == name][-1]

    def assert_succeeded(self, process):
        self.assertEqual(process.returncode, 0, process.stderr)

    def assert_refused(self, process, pattern):
        """Failed with a message for the author, without a traceback."""
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertRegex(process.stderr, pattern)
        self.assertNotIn("Traceback", process.stderr)
        self.assertEqual(self.error_file()["type"], "application")
