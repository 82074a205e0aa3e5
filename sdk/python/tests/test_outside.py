"""The package outside of Berth: functions are functions, and what they tell is shown."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# On a quiet machine it takes a third of that.
IMPORT_MAX_MS = 50


class OutsideTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_code(self, code, *options, **env):
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env}
        command = [sys.executable, *options, "-c", textwrap.dedent(code)]
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=30)

    def test_progress_metrics_and_logs_are_shown(self):
        code = """
            import berth
            berth.progress(1, 4, "rows")
            berth.progress(4, 4)
            berth.metric("auc", 0.93, step=2)
            berth.log.info("read", rows=3)
            berth.output("out", tags={"stage": "trial"})
            try:
                1 / 0
            except ZeroDivisionError:
                berth.log.exception("no luck")
            print(berth.batch(), berth.context(), berth.params(), len(berth.idempotency_key()))
        """
        process = self.run_code(code)
        self.assertEqual(process.stdout, "None None {} 64\n", process.stderr)
        for line in ("progress: 1/4 rows", "progress: 4/4", "metric: auc = 0.93 (step 2)", "INFO read rows=3", "ZeroDivisionError"):
            self.assertIn(line, process.stderr)
        self.assertNotIn("\u001e", process.stderr)

    def test_progress_that_was_held_back_is_told_at_the_end(self):
        code = "import berth\nfor n in range(500): berth.progress(n, 1000)"
        process = self.run_code(code)
        self.assertEqual(process.stderr.splitlines()[-1], "progress: 499/1000")
        self.assertLess(len(process.stderr.splitlines()), 50)

    def test_paths_outside_of_berth_are_refused_with_the_variable_to_set(self):
        process = self.run_code("import berth\nberth.input_path('big-table')")
        self.assertIn("there is no input 'big-table': outside of Berth, set BERTH_INPUT_BIG_TABLE", process.stderr)

    def test_values_are_read_and_written_by_any_program(self):
        code = """
            import berth, pickle
            berth.save("rows.csv", [{"a": 1}, {"a": 2}])
            assert berth.load("rows.csv") == [{"a": "1"}, {"a": "2"}]
            berth.save("names", ["x", "y"], "lines")
            assert berth.load("names", "lines") == ["x", "y"]
            assert berth.load("names", "text", str) == "x\\ny\\n"
            berth.save("m.pkl", {1})
            assert berth.load("m.pkl", allow_pickle=True) == {1}
            for call in (lambda: berth.load("m.pkl"), lambda: berth.load("rows.csv", "json"), lambda: berth.save("x.json", {1: object()})):
                try:
                    call()
                except ValueError as error:
                    print(error)
        """
        process = self.run_code(code)
        lines = process.stdout.splitlines()
        self.assertEqual(len(lines), 3, process.stderr)
        self.assertRegex(lines[0], "m.pkl is a pickle, .* say allow_pickle=True")
        self.assertRegex(lines[1], "cannot be read as json")
        self.assertRegex(lines[2], "x.json cannot be written as json: a value of type object is not JSON")

    def test_the_handler_of_the_standard_logging_hands_records_on(self):
        code = """
            import berth, logging
            logging.getLogger().addHandler(berth.log.handler())
            logging.getLogger("wine").warning("%d rows", 3, extra={"table": "train"})
            try:
                1 / 0
            except ZeroDivisionError:
                logging.exception("bad")
        """
        process = self.run_code(code, BERTH_MESSAGES=str(self.folder / "m"))
        import json

        first, second = [json.loads(line[1:]) for line in process.stderr.split("\n") if line]
        self.assertEqual([first["level"], first["message"]], ["warning", "3 rows"])
        self.assertEqual(first["fields"], {"table": "train", "logger": "wine"})
        self.assertRegex(second["fields"]["traceback"], "line 6, in <module>")

    def test_messages_that_cannot_be_written_are_told_once_and_stop_nothing(self):
        code = "import berth\nfor n in range(3): berth.metric('auc', n)\nprint('done')"
        process = self.run_code(code, BERTH_MESSAGES="/nowhere/at/all")
        self.assertEqual(process.stdout, "done\n")
        self.assertEqual(process.stderr.count("cannot be written"), 1)

    def test_a_description_that_is_too_long_is_told_without_its_schema(self):
        code = "import berth\nberth.save\nfrom berth.messages import describe_output\n"
        code += "describe_output('o', {'format': 'csv', 'schema': {'columns': ['x' * 100] * 1000}})"
        path = self.folder / "m"
        process = self.run_code(code, BERTH_MESSAGES=str(path))
        self.assertEqual(path.read_text(), '{"type":"output","name":"o","format":"csv"}\n', process.stderr)

    def test_lines_of_many_threads_stay_whole(self):
        code = """
            import berth, threading
            def tell():
                for n in range(200): berth.metric("m" * 150, n)
            threads = [threading.Thread(target=tell) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """
        path = self.folder / "m"
        self.run_code(code, BERTH_MESSAGES=str(path))
        lines = path.read_text().splitlines()
        self.assertEqual(len(lines), 1600)
        self.assertTrue(all(line.startswith('{"type":"metric"') and line.endswith("}") for line in lines))

    def test_importing_it_is_quick_and_imports_no_library(self):
        code = """
            import sys, time
            started = time.process_time()
            import berth
            took = (time.process_time() - started) * 1000
            heavy = [n for n in ("pandas", "numpy", "pyarrow", "polars", "torch", "asyncio", "logging", "csv") if n in sys.modules]
            print(took, *heavy)
        """
        took, *heavy = min((self.run_code(code, "-B").stdout.split() for _ in range(5)), key=lambda each: float(each[0]))
        self.assertEqual(heavy, [])
        self.assertLess(float(took), IMPORT_MAX_MS)


if __name__ == "__main__":
    unittest.main()
