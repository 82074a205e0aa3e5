"""The runner as Berth starts it: a process with BERTH_INVOCATION in its environment."""

import json
import os
import pickle
import subprocess
import sys
import unittest

from tests.step_fixture import RUNNER, StepTest


class ReadingTest(StepTest):
    def test_each_type_arrives_as_its_python_value(self):
        process = self.run_step(
            """
            import pathlib
            def step(j, t, b, c, p, f, l):
                assert j == {"a": [1, None]}, j
                assert t == "zwölf\\n", t
                assert b == b"\\x00\\xff", b
                assert c == [{"x": "1", "y": "two, or more"}], c
                assert p == {1, 2}, p
                assert isinstance(f, pathlib.Path) and f.read_text() == "raw", f
                assert l == ["one", "two\\x85", "three"], l
            """,
            inputs={
                "j": ("json", '{"a": [1, null]}'),
                "t": ("text", "zwölf\n"),
                "b": ("bytes", b"\x00\xff"),
                "c": ("csv", 'x,y\n1,"two, or more"\n'),
                "p": ("pickle", pickle.dumps({1, 2})),
                "f": ("file", "raw"),
                "l": ("lines", "one\ntwo\x85\nthree"),
            },
        )
        self.assert_succeeded(process)

    def test_an_input_of_another_format_is_named(self):
        process = self.run_step("def step(table): pass", inputs={"table": ("json", "a,b\n")})
        self.assert_refused(process, "input 'table' cannot be read as json")

    def test_an_optional_output_that_was_not_written_arrives_as_none(self):
        process = self.run_step("def step(maybe): print(maybe)", inputs={"maybe": ("json", None)})
        self.assert_succeeded(process)
        self.assertEqual(process.stdout, "None\n")

    def test_inputs_that_are_not_asked_for_are_refused_before_anything_runs(self):
        process = self.run_step("def step(a): print('ran')", inputs={"a": ("text", ""), "b": ("text", "")})
        self.assert_refused(process, "takes no argument 'b'.*it takes 'a'")
        self.assertEqual(process.stdout, "")


class ArgumentsTest(StepTest):
    def test_parameters_and_matrix_values_arrive_where_they_are_asked_for(self):
        process = self.run_step(
            "def step(seed, learning_rate=1, *, depth=3): print(seed, learning_rate, depth)",
            values={"seed": 7, "learning-rate": 0.5, "model": "knn"},
        )
        self.assert_succeeded(process)
        self.assertEqual(process.stdout, "7 0.5 3\n")

    def test_an_argument_that_nothing_stands_for_is_named_with_what_there_is(self):
        process = self.run_step("def step(sed): pass", inputs={}, values={"seed": 7})
        self.assert_refused(process, "wants an argument 'sed'.*other values: 'seed'")

    def test_a_function_with_keyword_arguments_gets_every_input(self):
        process = self.run_step("def step(**all): print(sorted(all))", inputs={"a": ("text", ""), "b": ("text", "")})
        self.assertEqual(process.stdout, "['a', 'b']\n")

    def test_positional_only_arguments_are_filled_by_name_too(self):
        process = self.run_step("def step(a, b=2, /): print(a, b)", values={"a": 1})
        self.assertEqual(process.stdout, "1 2\n")

    def test_the_part_of_a_batch_need_not_be_asked_for(self):
        self.assert_succeeded(self.run_step("def step(): pass", inputs={"batch": ("csv", "a\n1\n")}))


class WritingTest(StepTest):
    def test_one_output_is_the_value_itself(self):
        self.assert_succeeded(self.run_step("def step(): return {'a': 'ü'}", outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(encoding="utf-8"), '{"a":"ü"}')

    def test_several_outputs_are_a_tuple_in_the_declared_order(self):
        self.assert_succeeded(self.run_step("def step(): return 'b', b'a'", outputs={"t": "text", "b": "bytes"}))
        self.assertEqual(self.out("t").read_text(), "b")
        self.assertEqual(self.out("b").read_bytes(), b"a")

    def test_several_outputs_are_a_dictionary_by_name(self):
        process = self.run_step("def step(): return {'b': b'a', 't': 'b'}", outputs={"t": "text", "b": "bytes"})
        self.assert_succeeded(process)
        self.assertEqual(self.out("t").read_text(), "b")

    def test_rows_become_csv_with_columns_in_the_order_of_their_appearance(self):
        code = "def step(): return [{'x': 1}, {'x': 2, 'y': 'a,b'}]"
        self.assert_succeeded(self.run_step(code, outputs={"out": "csv"}))
        self.assertEqual(self.out("out").read_bytes(), b'x,y\n1,\n2,"a,b"\n')

    def test_what_can_be_pickled_comes_back(self):
        self.assert_succeeded(self.run_step("def step(): return {1, 2}", outputs={"out": "pickle"}))
        self.assertEqual(pickle.loads(self.out("out").read_bytes()), {1, 2})

    def test_dates_sets_and_dataclasses_become_json(self):
        code = """
            import dataclasses, datetime
            @dataclasses.dataclass
            class Point:
                x: int
            def step(): return [Point(1), datetime.date(2024, 2, 29), {2, 1}]
        """
        self.assert_succeeded(self.run_step(code, outputs={"out": "json"}))
        self.assertEqual(json.loads(self.out("out").read_text()), [{"x": 1}, "2024-02-29", [1, 2]])

    def test_a_returned_path_is_copied_to_its_place(self):
        code = """
            import pathlib
            def step():
                pathlib.Path("made").mkdir()
                pathlib.Path("made/a").write_text("1")
                return "made"
        """
        self.assert_succeeded(self.run_step(code, outputs={"out": "folder"}))
        self.assertEqual((self.out("out") / "a").read_text(), "1")

    def test_a_file_that_the_function_wrote_to_its_place_needs_no_return(self):
        code = """
            from berth import output_path
            def step(): output_path("out").write_text("mine")
        """
        self.assert_succeeded(self.run_step(code, outputs={"out": "file"}))
        self.assertEqual(self.out("out").read_text(), "mine")

    def test_an_optional_output_may_be_none(self):
        self.assert_succeeded(self.run_step("def step(): return None", outputs={"out": "json?"}))
        self.assertFalse(self.out("out").exists())

    def test_returns_that_do_not_fit_the_declaration_are_refused(self):
        both = {"a": "json", "b": "json"}
        cases = [
            ("return 1, 2, 3", both, "tuple of 3.*2 outputs.*a, b"),
            ("return 1", both, "returned int.*2 outputs"),
            ("return {'a': 1}", both, "returned no b"),
            ("return {'a': 1, 'b': 2, 'c': 3}", both, "returned c"),
            ("return 1", {}, "declares no outputs"),
            ("return object()", {"out": "json"}, "object is not JSON"),
            ("return float('nan')", {"out": "json"}, "cannot be written as json"),
            ("return 1", {"out": "text"}, "expected a text, got int"),
            ("return 'x'", {"out": "csv"}, "expected a list of rows, got str"),
            ("return 'nowhere'", {"out": "file"}, "nothing at nowhere"),
        ]
        for body, outputs, pattern in cases:
            with self.subTest(body=body, outputs=outputs):
                self.assert_refused(self.run_step(f"def step(): {body}", outputs=outputs), pattern)


class FailureTest(StepTest):
    def test_a_business_error_exits_with_65_and_leaves_its_message(self):
        code = """
            from berth import BusinessError
            def step(): raise BusinessError("row 7 has no price")
        """
        process = self.run_step(code)
        self.assertEqual(process.returncode, 65)
        self.assertEqual(self.error_file(), {"type": "business", "message": "row 7 has no price"})
        self.assertNotIn("Traceback", process.stderr)

    def test_any_other_error_shows_the_traceback_of_the_step_alone(self):
        process = self.run_step("def step(): return 1 / 0", outputs={"out": "json"})
        self.assertEqual(process.returncode, 1)
        self.assertIn('steps.py", line 1, in step', process.stderr)
        self.assertNotIn("runner.py", process.stderr)
        self.assertEqual(self.error_file(), {"type": "application", "message": "ZeroDivisionError: division by zero"})

    def test_the_traceback_of_a_decorated_function_is_its_own_alone(self):
        process = self.run_step("import berth\n@berth.step(cache=True)\ndef step(): return 1 / 0", outputs={"out": "json"})
        self.assertRegex(process.stderr, '^Traceback .*\n  File ".*/steps.py", line 3, in step\n')
        self.assertNotIn("berth/", process.stderr.replace("berth_", ""))

    def test_an_exit_code_of_the_step_is_kept(self):
        self.assertEqual(self.run_step("import sys\ndef step(): sys.exit(3)").returncode, 3)

    def test_a_module_that_is_not_there_is_said_to_be_so(self):
        process = self.start({"module": "nowhere.steps", "function": "f", "inputs": [], "outputs": [], "values": {}})
        self.assert_refused(process, "there is no module 'nowhere'")

    def test_a_missing_import_inside_of_the_module_keeps_its_traceback(self):
        process = self.run_step("import not_installed\ndef step(): pass")
        self.assertEqual(process.returncode, 1)
        self.assertIn("No module named 'not_installed'", process.stderr)
        self.assertRegex(process.stderr, '^Traceback .*\n  File ".*/steps.py", line 1, in <module>\n')
        message = self.error_file()["message"]
        self.assertIn(f"No module named 'not_installed' for {sys.executable}, which runs the step", message)
        self.assertIn("environment.python.packages", message)

    def test_a_function_that_is_not_there_is_said_to_be_so(self):
        self.assert_refused(self.run_step("def stp(): pass"), "the module 'steps' has no 'step'")

    def test_started_by_hand_it_says_what_it_is(self):
        process = subprocess.run([sys.executable, "-B", str(RUNNER)], env={}, capture_output=True, text=True, timeout=30)
        self.assertEqual(process.returncode, 1)
        self.assertIn("BERTH_INVOCATION", process.stderr)


class BehaviourTest(StepTest):
    def test_a_coroutine_function_is_awaited(self):
        code = """
            import asyncio
            async def step():
                await asyncio.sleep(0)
                return "done"
        """
        self.assert_succeeded(self.run_step(code, outputs={"out": "text"}))
        self.assertEqual(self.out("out").read_text(), "done")

    def test_lines_are_in_the_log_even_when_the_process_is_killed(self):
        process = self.run_step("import os, signal\ndef step():\n    print('seen')\n    os.kill(os.getpid(), signal.SIGKILL)")
        self.assertEqual(process.stdout, "seen\n")

    def test_nothing_is_written_beside_the_source(self):
        self.assert_succeeded(self.run_step("def step(): pass"))
        self.assertEqual(os.listdir(self.folder / "source"), ["steps.py"])


if __name__ == "__main__":
    unittest.main()
