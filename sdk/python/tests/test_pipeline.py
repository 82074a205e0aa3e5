"""Pipelines written in Python, as `berth compile` sees them: a process that describes a file as JSON."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "compile_pipeline.py"


class PipelineTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(os.path.realpath(folder.name))

    def compile(self, code, name="flow.py"):
        file = self.folder / name
        file.write_text(textwrap.dedent(code), encoding="utf-8")
        result = self.folder / "result.json"
        env = {"PATH": os.environ["PATH"], "BERTH_COMPILE_RESULT": str(result)}
        command = [sys.executable, "-B", str(PROGRAM), str(file)]
        self.process = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(self.process.returncode, 0, self.process.stderr)
        return json.loads(result.read_text(encoding="utf-8"))

    def steps(self, code, **more):
        compiled = self.compile(code, **more)
        self.assertIn("pipeline", compiled, compiled)
        return compiled["pipeline"]["steps"]

    def problem(self, code, **more):
        """Line and message of the only problem."""
        compiled = self.compile(code, **more)
        self.assertIn("problems", compiled, compiled)
        (problem,) = compiled["problems"]
        return problem.get("place", {}).get("line"), problem["message"]


class WiringTest(PipelineTest):
    def test_calling_a_step_with_the_output_of_another_wires_them(self):
        compiled = self.compile(
            """
            import berth
            @berth.step
            def prepare(seed: int) -> dict: ...
            @berth.step(cache=True)
            def train(data: dict) -> str: ...
            with berth.Pipeline("wine", params={"seed": 7}, description="d") as wine:
                train(prepare())
            """
        )
        self.assertEqual(
            compiled["pipeline"],
            {
                "name": "wine",
                "params": {"seed": 7},
                "description": "d",
                "environment": {"base": "python:3.12-slim", "source": "."},
                "steps": {
                    "prepare": {"python": "flow:prepare", "outputs": {"result": {"type": "json"}}},
                    "train": {
                        "python": "flow:train",
                        "cache": True,
                        "inputs": {"data": "prepare.result"},
                        "outputs": {"result": {"type": "text"}},
                    },
                },
            },
        )
        self.assertEqual(compiled["places"]["steps.train"], {"file": str(self.folder / "flow.py"), "line": 8})
        self.assertEqual(compiled["places"]["steps.train.cache"]["line"], 5)

    def test_outputs_are_named_by_what_is_said_or_by_the_annotation(self):
        steps = self.steps(
            """
            import berth, pathlib
            from typing import Annotated, Dict, NamedTuple, Optional, Tuple
            class Sets(NamedTuple):
                train: Annotated[list, "csv"]
                test: bytes
            @berth.step
            def named() -> Sets: ...
            @berth.step(outputs=["a", "b"])
            def pair() -> Tuple[str, pathlib.Path]: ...
            @berth.step(outputs={"model": "pickle", "plot": "plots/", "note": {"path": "n.md", "optional": True}})
            def said(): ...
            @berth.step
            def maybe() -> Optional[dict]: ...
            @berth.step
            def plain():
                def inner(): return 1
                return inner()
            @berth.step
            def silent():
                def inner(): return 1
            @berth.step(outputs="table.csv")
            def listed() -> list: ...
            with berth.Pipeline("p"):
                sets = named()
                first, second = pair()
                assert str(sets.test) == "named.test" and str(second) == "pair.b"
                said(), maybe(), plain(), silent(), listed()
            """
        )
        self.assertEqual(
            {name: step.get("outputs") for name, step in steps.items()},
            {
                "named": {"train": {"type": "csv"}, "test": {"type": "bytes"}},
                "pair": {"a": {"type": "text"}, "b": {"type": "file"}},
                "said": {"model": {"type": "pickle"}, "plot": {"path": "plots/"}, "note": {"path": "n.md", "optional": True, "type": "file"}},
                "maybe": {"result": {"type": "json", "optional": True}},
                "plain": {"result": {"type": "json"}},
                "silent": None,
                "listed": {"table": {"path": "table.csv"}},
            },
        )

    def test_outputs_of_a_matrix_are_gathered_as_their_reader_wants_them(self):
        steps = self.steps(
            """
            import berth
            from typing import Annotated, Dict, List
            @berth.step(matrix={"model": ["a", "b"]}, outputs={"fit": "json", "rows": "csv", "names": "lines"})
            def train(model: str): ...
            @berth.step
            def choose(fits: List[dict], rows: list, names: List[str], every: Dict[str, dict], raw): ...
            @berth.step
            def own(rows): ...
            with berth.Pipeline("p"):
                t = train()
                choose(t.fit, t.rows, t.names, t.fit, t["rows"])
                own(t.rows.gather("csv"))
            """
        )
        self.assertEqual(
            steps["choose"]["inputs"],
            {
                "fits": {"from": "train.fit", "gather": "json"},
                "rows": {"from": "train.rows", "gather": "csv"},
                "names": {"from": "train.names", "gather": "lines", "type": "lines"},
                "every": "train.fit",
                "raw": "train.rows",
            },
        )
        self.assertEqual(steps["own"]["inputs"], {"rows": {"from": "train.rows", "gather": "csv"}})

    def test_batches_needs_other_kinds_of_steps_and_all_other_keys(self):
        steps = self.steps(
            """
            import berth
            @berth.step(outputs={"rows": "csv"})
            def make(): ...
            @berth.step(resources={"cpu": 2, "image_timeout": "5m"}, retry={"max": 1, "max_delay": "1s"}, when="params.go")
            def part(batch, batch_index, k=3) -> int: ...
            with berth.Pipeline("p", params={"go": True, "count": 3}) as p:
                rows = make()
                a = part(rows.split(size=10, parallel=4))
                b = part.options(name="again", matrix={"k": [1, 2]})(rows.split())
                p.shell("count", f"seq {p.params.count}", inputs={"rows": rows.as_type("file")}, outputs=["n.txt"], needs=[a, "again"])
                p.command("say", ["echo", 1], phase="finally", allow_failure=True)
                p.step("plot", typescript="plot.ts:plot", inputs={"rows": rows}, outputs={"image": "plot.png"})
            """
        )
        self.assertEqual(steps["part"]["batch"], {"over": "make.rows", "size": 10, "parallel": 4})
        self.assertEqual(steps["part"]["resources"], {"cpu": 2, "imageTimeout": "5m"})
        self.assertEqual(steps["part"]["retry"], {"max": 1, "maxDelay": "1s"})
        self.assertEqual([steps["again"]["python"], steps["again"]["batch"]], ["flow:part", {"over": "make.rows"}])
        self.assertEqual(
            steps["count"],
            {
                "run": "seq ${{ params.count }}",
                "inputs": {"rows": {"from": "make.rows", "type": "file"}},
                "needs": ["part", "again"],
                "outputs": {"n": {"path": "n.txt"}},
            },
        )
        self.assertEqual(steps["say"], {"command": ["echo", 1], "phase": "finally", "allow_failure": True})
        self.assertEqual(steps["plot"]["typescript"], "plot.ts:plot")

    def test_constants_and_parameters_of_another_name_are_args(self):
        steps = self.steps(
            """
            import berth
            @berth.step(args={"depth": 3})
            def train(seed, start, depth, names=(), **more): ...
            with berth.Pipeline("p", params={"seed": 1}) as p:
                train(p.params.seed, start=p.params.seed, names=("a", "b"), rate=0.5)
            """
        )
        self.assertEqual(steps["train"]["args"], {"depth": 3, "start": "${{ params.seed }}", "names": ["a", "b"], "rate": 0.5})

    def test_functions_of_other_modules_are_steps_by_their_own_module(self):
        (self.folder / "wine").mkdir()
        (self.folder / "wine" / "__init__.py").write_text("")
        (self.folder / "wine" / "steps.py").write_text("import berth\nother = berth.Pipeline('other')\ndef clean(): return 1\n")
        steps = self.steps(
            """
            import berth
            from wine.steps import clean
            with berth.Pipeline("p", environments={"py": {"image": "x"}}, environment="py"):
                berth.step(clean, name="cleaned")()
            """
        )
        self.assertEqual(steps["cleaned"]["python"], "wine.steps:clean")
        self.assertEqual(json.loads((self.folder / "result.json").read_text())["pipeline"]["environments"], {"py": {"image": "x", "source": "."}})

    def test_libraries_need_not_be_installed_where_a_pipeline_is_described(self):
        steps = self.steps(
            """
            from __future__ import annotations
            import berth
            from typing import TYPE_CHECKING, Dict
            if TYPE_CHECKING:
                import pandas as pd
                import numpy as np
            @berth.step(matrix={"n": [1, 2]}, outputs={"part": "csv"})
            def part(n): ...
            @berth.step
            def join(parts: pd.DataFrame) -> pd.DataFrame: ...
            @berth.step
            def weights(rows: pd.DataFrame) -> Dict[str, np.ndarray]: ...
            with berth.Pipeline("p"):
                weights(join(part().part))
            """
        )
        self.assertEqual(steps["join"]["inputs"], {"parts": {"from": "part.part", "gather": "csv"}})
        self.assertEqual(steps["join"]["outputs"], {"result": {"type": "parquet"}})
        self.assertEqual(steps["weights"]["outputs"], {"result": {"type": "npz"}})

    def test_a_registered_class_stands_for_its_type(self):
        steps = self.steps(
            """
            import berth
            class Image: ...
            berth.register_type("x-image", load=Image, save=print, python_type=Image)
            @berth.step
            def draw() -> Image: ...
            with berth.Pipeline("p"):
                draw()
            """
        )
        self.assertEqual(steps["draw"]["outputs"], {"result": {"type": "x-image"}})

    def test_steps_are_functions_outside_of_a_pipeline(self):
        code = """
            import berth
            @berth.step(cache=True)
            def double(n: int) -> int:
                "Doubles."
                return 2 * n
            assert double(4) == 8 and double.__name__ == "double" and double.__doc__ == "Doubles."
            with berth.Pipeline("p", params={"n": 1}):
                double()
            assert double(n=5) == 10
        """
        self.assertEqual(list(self.steps(code)), ["double"])


class ProblemTest(PipelineTest):
    HEAD = """import berth
from typing import Annotated, List
@berth.step
def rows() -> Annotated[list, "csv"]: ...
@berth.step
def read(data: dict): ...
@berth.step
def both() -> dict: ...
with berth.Pipeline("p", params={"seed": 1}) as p:
    r = rows()
"""

    def test_what_does_not_fit_is_told_with_its_line(self):
        cases = [
            ("read(r)", "argument 'data' of read is annotated dict, which is read from json or .*csv: rows.result"),
            ("read({})", "the argument 'data' of read is {}: it is an output of a step, or a text, a number"),
            ("read()", "read wants an argument 'data': give it an output of a step"),
            ("read(r, r)", "read..: too many positional arguments"),
            ("read(r.nothing)", "the step 'rows' has no output 'nothing'; it has result"),
            ("rows()", "there is a step 'rows' already .line 10.: name it"),
            ("read(p.params.sed)", "no parameter 'sed'; it has seed"),
            ("if r.result: pass", "rows.result has no value while the pipeline is described"),
            ("berth.step(lambda: 1)()", "<lambda> is not found by its name"),
            ("p.shell('s', 'true', inputs={'x': 3})", "the input 'x' of s is no output of a step but 3"),
            ("read(r.split(2))", "gets its part of a batch as the argument batch, not 'data'"),
        ]
        for line, pattern in cases:
            with self.subTest(line=line):
                at, message = self.problem(f"{self.HEAD}    {line}\n")
                self.assertRegex(message, pattern)
                self.assertEqual(at, 11)

    def test_a_return_annotation_that_no_type_stands_for_is_told_with_what_to_do(self):
        code = self.HEAD.replace("@berth.step\ndef both() -> dict", "class Own: ...\n@berth.step\ndef both() -> Own")
        at, message = self.problem(code + "    both()\n")
        self.assertRegex(message, "no type is known for the output 'result', annotated Own: .*Annotated.Own, .pickle")
        self.assertEqual(at, 12)

    def test_errors_of_the_program_have_its_line(self):
        self.assertEqual(self.problem("import berth\n1 / 0\n"), (2, "ZeroDivisionError: division by zero"))
        self.assertRegex(self.process.stderr, 'flow.py", line 2')
        self.assertNotIn("compile_program.py", self.process.stderr)
        at, message = self.problem("\nimport not_installed_at_all")
        self.assertEqual(at, 2)
        self.assertRegex(message, "No module named 'not_installed_at_all' for /.*: install it there, choose another Python")
        self.assertEqual(self.problem("x = (\n")[0], 1)
        self.assertRegex(self.problem("import sys\nsys.exit(4)")[1], "ended itself .exit code 4.")

    def test_a_file_describes_one_pipeline(self):
        self.assertRegex(self.problem("import berth\n")[1], "describes no pipeline")
        two = "import berth\nfor name in ('a', 'b'):\n    berth.Pipeline(name)\n"
        self.assertEqual(self.problem(two), (3, "it describes 2 pipelines, a, b: one file describes one"))

    def test_values_that_no_file_can_hold_are_told_with_their_key(self):
        at, message = self.problem(f"{self.HEAD}    p.shell('s', 'x', env={{'a': object()}})\n")
        self.assertRegex(message, "steps.s holds what no pipeline file can: .*object")
        self.assertEqual(at, 11)

    def test_a_file_whose_name_is_no_module_cannot_hold_steps(self):
        self.assertRegex(self.problem(self.HEAD, name="my-flow.py")[1], "my-flow.py cannot be imported by its name")

    def test_what_the_program_prints_is_no_part_of_the_result(self):
        self.assertIn("pipeline", self.compile(f"print('hello')\n{self.HEAD}"))


if __name__ == "__main__":
    unittest.main()
