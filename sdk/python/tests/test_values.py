"""Values that are more than JSON: dataclasses, optional and missing things, and what annotations ask for."""

import json
import pickle

from tests.step_fixture import StepTest

POINT = """
import dataclasses
from typing import Dict, List, Optional
@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    label: Optional[str] = None
@dataclasses.dataclass
class Line:
    points: List[Point]
    tags: Dict[str, str] = dataclasses.field(default_factory=dict)
"""


class DataclassTest(StepTest):
    def test_json_becomes_the_dataclass_of_the_annotation_and_back(self):
        code = POINT + "def step(line: Line) -> Line:\n    assert line.points[0] == Point(1, 2.0), line\n    return line"
        given = '{"points": [{"x": 1, "y": 2}, {"x": 3, "label": "ü"}]}'
        self.assert_succeeded(self.run_step(code, inputs={"line": ("json", given)}, outputs={"out": "json"}))
        points = [{"x": 1, "y": 2.0, "label": None}, {"x": 3, "y": 0.5, "label": "ü"}]
        self.assertEqual(json.loads(self.out("out").read_text()), {"points": points, "tags": {}})

    def test_what_does_not_fit_the_dataclass_is_named_with_its_field(self):
        cases = [
            ('{"points": [{"x": "1"}]}', "points: x: expected int, found a text"),
            ('{"points": [{"y": 1}]}', "points: a Point needs 'x'"),
            ('{"points": [{"x": 1, "z": 1}]}', "points: a Point has no 'z'"),
            ('{"points": 3}', "points: expected .*, found a number"),
            ("[]", "a Line is made of an object with fields"),
        ]
        for given, pattern in cases:
            with self.subTest(given=given):
                process = self.run_step(POINT + "def step(line: Line): pass", inputs={"line": ("json", given)})
                self.assert_refused(process, f"input 'line' cannot be read as json: {pattern}")

    def test_rows_of_csv_become_dataclasses_with_numbers(self):
        code = POINT + "def step(rows: List[Point]) -> List[Point]:\n    assert rows[1].label is None\n    return rows"
        given = "x,y,label\n1,2,a\n3,1e2,\n"
        self.assert_succeeded(self.run_step(code, inputs={"rows": ("csv", given)}, outputs={"out": "csv"}))
        self.assertEqual(self.out("out").read_text(), "x,y,label\n1,2.0,a\n3,100.0,\n")
        process = self.run_step(code, inputs={"rows": ("csv", "x\none\n")}, outputs={"out": "csv"})
        self.assert_refused(process, "row 1: x: invalid literal for int")


class AnnotationTest(StepTest):
    def test_a_path_is_what_any_input_can_be_taken_as(self):
        code = "import pathlib\ndef step(rows: pathlib.Path): return rows.read_text()"
        self.assert_succeeded(self.run_step(code, inputs={"rows": ("csv", "not, read\n")}, outputs={"out": "text"}))
        self.assertEqual(self.out("out").read_text(), "not, read\n")

    def test_annotations_that_cannot_be_evaluated_are_no_wish(self):
        code = """
            from __future__ import annotations
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                import geopandas
            def step(rows: geopandas.GeoDataFrame, seed: int | None = None) -> "Nowhere": return rows
        """
        self.assert_succeeded(self.run_step(code, inputs={"rows": ("csv", "a\n1\n")}, outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(), '[{"a":"1"}]')

    def test_an_input_that_is_not_there_is_refused_where_a_value_is_wanted(self):
        code = "def step(rows: list): pass"
        self.assert_refused(self.run_step(code, inputs={"rows": ("csv", None)}), "the input 'rows' is not there.*Optional.list")
        code = "from typing import Optional\ndef step(rows: Optional[list]): return rows"
        self.assert_succeeded(self.run_step(code, inputs={"rows": ("csv", None)}, outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(), "null")

    def test_a_parameter_of_another_type_than_its_annotation_is_refused(self):
        code = "def step(rate: float, seed: int): return [rate, seed]"
        self.assert_succeeded(self.run_step(code, values={"rate": 1, "seed": 2}, outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(), "[1.0,2]")
        for seed in ("7", 7.5, True):
            process = self.run_step(code, values={"rate": 1, "seed": seed}, outputs={"out": "json"})
            self.assert_refused(process, "wants a int as 'seed', and the pipeline gives")

    def test_a_class_that_no_type_stands_for_is_refused_with_what_to_do(self):
        code = "class Own: pass\ndef step(x: Own): pass"
        self.assert_refused(self.run_step(code, inputs={"x": ("json", "{}")}), "annotated Own but .* json: use a dataclass .* register")

    def test_named_tuples_are_outputs_by_their_names(self):
        code = """
            from typing import NamedTuple
            class Parts(NamedTuple):
                test: list
                train: list
            def step() -> Parts: return Parts(test=[1], train=[2])
        """
        self.assert_succeeded(self.run_step(code, outputs={"train": "json", "test": "json"}))
        self.assertEqual(self.out("train").read_text(), "[2]")


class PickleTest(StepTest):
    def test_a_pickle_is_checked_against_the_annotation(self):
        code = "def step(x: dict): return x"
        process = self.run_step(code, inputs={"x": ("pickle", pickle.dumps([1]))}, outputs={"out": "json"})
        self.assert_refused(process, "expected dict, and the pickle holds list")

    def test_a_pickle_of_a_class_that_is_not_installed_names_the_package(self):
        content = b"\x80\x04\x8c\x0cnot_anywhere\x8c\x01X\x93)R."
        self.assert_refused(self.run_step("def step(x): pass", inputs={"x": ("pickle", content)}), "objects of 'not_anywhere'")

    def test_what_cannot_be_pickled_is_refused(self):
        self.assert_refused(self.run_step("def step(): return lambda: 1", outputs={"out": "pickle"}), "cannot be written as pickle")

    def test_a_file_of_a_gathered_folder_is_not_unpickled_by_its_ending(self):
        folder = self.folder / "parts"
        folder.mkdir()
        (folder / "a.pkl").write_bytes(pickle.dumps(1))
        head = "from typing import Annotated\n"
        process = self.run_step(head + "def step(x: list): pass", inputs={"x": ("folder", folder)})
        self.assert_refused(process, "a.pkl is a pickle.*Annotated.list, .pickle")
        code = head + "def step(x: Annotated[list, 'pickle']): return x"
        self.assert_succeeded(self.run_step(code, inputs={"x": ("folder", folder)}, outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(), "[1]")


class OwnTypeTest(StepTest):
    def test_an_error_of_a_type_of_ones_own_is_shown_with_its_place(self):
        code = """
            import berth
            def load(path): return 1 / 0
            berth.register_type("x-own", load=load, save=None)
            def step(x): pass
        """
        process = self.run_step(code, inputs={"x": ("x-own", "")})
        self.assertEqual(process.returncode, 1)
        self.assertIn('steps.py", line 3, in load', process.stderr)

    def test_a_name_without_x_is_refused(self):
        process = self.run_step("import berth\nberth.register_type('image', load=1, save=1)\ndef step(): pass")
        self.assertIn("a type of your own is called x-name", process.stderr)
