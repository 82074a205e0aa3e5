"""Frames and arrays of the real libraries, which must be installed."""

import json
import unittest

import numpy
import pandas
import pyarrow
import pyarrow.parquet

from tests.step_fixture import StepTest

TORCH = """
class Tensor:
    def __init__(self, array): self.array = array
    def detach(self): return self
    def cpu(self): return self
    def numpy(self):
        if self.array is None: raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array
def from_numpy(array):
    assert array.flags.writeable
    return Tensor(array)
"""
CSV = "n,name\n1,a\n2,ü\n"


class FrameTest(StepTest):
    def test_the_annotation_chooses_which_frame_a_csv_file_becomes(self):
        for module, annotation in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("polars", "LazyFrame"), ("pyarrow", "Table")):
            with self.subTest(annotation=f"{module}.{annotation}"):
                code = f"""
                    import {module}
                    def step(rows: {module}.{annotation}) -> str:
                        assert isinstance(rows, {module}.{annotation}), type(rows)
                        return "ok"
                """
                self.assert_succeeded(self.run_step(code, inputs={"rows": ("csv", CSV)}, outputs={"out": "text"}))

    def test_a_library_may_be_imported_for_the_type_checker_alone(self):
        code = """
            from __future__ import annotations
            from typing import TYPE_CHECKING, Optional
            if TYPE_CHECKING:
                import pandas as pd
            def step(rows: Optional[pd.DataFrame]) -> "pd.DataFrame":
                assert type(rows).__name__ == "DataFrame", rows
                return rows
        """
        self.assert_succeeded(self.run_step(code, inputs={"rows": ("csv", CSV)}, outputs={"out": "parquet"}))
        self.assertEqual(pandas.read_parquet(self.out("out")).to_dict("list"), {"n": [1, 2], "name": ["a", "ü"]})

    def test_frames_go_round_by_csv_and_parquet_with_their_schema(self):
        frames = {
            "pandas": "import pandas as x\nframe = x.DataFrame({'n': [1, 2], 'name': ['a', 'ü']})",
            "polars": "import polars as x\nframe = x.DataFrame({'n': [1, 2], 'name': ['a', 'ü']})",
            "lazy": "import polars as x\nframe = x.LazyFrame({'n': [1, 2], 'name': ['a', 'ü']})",
            "pyarrow": "import pyarrow as x\nframe = x.table({'n': [1, 2], 'name': ['a', 'ü']})",
        }
        for library, made in frames.items():
            for kind in ("csv", "parquet"):
                with self.subTest(library=library, kind=kind):
                    self.assert_succeeded(self.run_step(f"{made}\ndef step(): return frame", outputs={"out": kind}))
                    read = pandas.read_csv if kind == "csv" else pandas.read_parquet
                    self.assertEqual(read(self.out("out")).to_dict("list"), {"n": [1, 2], "name": ["a", "ü"]})
                    said = self.described()
                    self.assertEqual([said["format"], said["schema"]["rows"]], [kind, 2])
                    self.assertEqual([column["name"] for column in said["schema"]["columns"]], ["n", "name"])
                    self.assertRegex(said["schema"]["columns"][0]["type"], "(?i)int64")

    def test_parquet_without_an_annotation_is_a_frame_of_what_is_installed_and_rows_where_a_list_is_wanted(self):
        path = self.folder / "p"
        pyarrow.parquet.write_table(pyarrow.table({"n": [1, None]}), path)
        code = "def step(p): return type(p).__module__.split('.')[0]"
        self.assert_succeeded(self.run_step(code, inputs={"p": ("parquet", path)}, outputs={"out": "text"}))
        self.assertEqual(self.out("out").read_text(), "pandas")
        code = "def step(p: list): return p"
        self.assert_succeeded(self.run_step(code, inputs={"p": ("parquet", path)}, outputs={"out": "json"}))
        self.assertEqual(json.loads(self.out("out").read_text()), [{"n": 1}, {"n": None}])

    def test_rows_are_written_as_parquet(self):
        self.assert_succeeded(self.run_step("def step(): return [{'a': 1}, {'a': 2}]", outputs={"out": "parquet"}))
        self.assertEqual(pyarrow.parquet.read_table(self.out("out")).to_pylist(), [{"a": 1}, {"a": 2}])

    def test_an_index_with_a_name_becomes_a_column_of_csv_and_any_other_is_told_to_be_lost(self):
        code = "import pandas\ndef step(): return pandas.DataFrame({'a': [1]}, index=pandas.Index(['x'], name='key'))"
        self.assert_succeeded(self.run_step(code, outputs={"out": "csv"}))
        self.assertEqual(self.out("out").read_text(), "key,a\nx,1\n")
        process = self.run_step(code.replace(", name='key'", ""), outputs={"out": "csv"})
        self.assertIn("the index of a frame has no name", process.stderr)

    def test_a_file_that_is_no_frame_is_refused(self):
        for kind, content in (("parquet", "PAR1 no"), ("csv", b"\x89PNG\r\n\x1a\n\0\0"), ("csv", "a,b\n1,2,3\n4,5,6,7\n")):
            for annotation in ("pandas.DataFrame", "polars.DataFrame", "pyarrow.Table"):
                with self.subTest(kind=kind, annotation=annotation):
                    code = f"import pandas, polars, pyarrow\ndef step(rows: {annotation}): print(rows)"
                    process = self.run_step(code, inputs={"rows": (kind, content)})
                    if process.returncode == 0 and "pandas" in annotation:
                        continue  # pandas takes the first column for an index.
                    self.assert_refused(process, f"input 'rows' cannot be read as {kind}")

    def test_a_frame_is_no_json_and_a_number_no_frame(self):
        code = "import pandas\ndef step(): return pandas.DataFrame({'a': [1]})"
        self.assert_refused(self.run_step(code, outputs={"out": "json"}), "DataFrame is not JSON: declare the type csv or parquet")
        self.assert_refused(self.run_step("def step(): return 7", outputs={"out": "parquet"}), "expected a table of pandas")

    def test_annotations_that_do_not_fit_are_refused_before_anything_runs(self):
        head = "import pandas, numpy\nfrom typing import Annotated, Optional\nprint('imported')\n"
        cases = [
            ("def step(x: pandas.DataFrame): pass", "json", "annotated DataFrame, which is read from parquet or csv, but .* json"),
            ("def step(x: numpy.ndarray): pass", "csv", "annotated ndarray, which is read from npy, but .* csv"),
            ("def step(x: Optional[str]): pass", "npy", "which is read from text or json, but .* npy"),
            ("def step(x: Annotated[pandas.DataFrame, 'parquet']): pass", "csv", "annotated as parquet, but .* declared as csv"),
        ]
        for code, kind, pattern in cases:
            with self.subTest(code=code):
                self.assert_refused(self.run_step(head + code, inputs={"x": (kind, "")}), pattern)
        code = head + "def step() -> pandas.DataFrame:\n    print('ran')"
        process = self.run_step(code, outputs={"out": "json"})
        self.assert_refused(process, "what steps:step returns is annotated DataFrame, which is written as parquet or csv")
        self.assertNotIn("ran", process.stdout)

    def test_a_file_is_read_as_what_its_annotation_says_that_it_holds(self):
        code = """
            import pandas
            from typing import Annotated
            def step(x: Annotated[pandas.DataFrame, "csv"]) -> int: return int(x["n"].sum())
        """
        self.assert_succeeded(self.run_step(code, inputs={"x": ("file", CSV)}, outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(), "3")

    def test_a_gathered_folder_is_a_list_of_frames_or_frames_by_name(self):
        parts = self.folder / "parts"
        parts.mkdir()
        for name, number in (("model=a.csv", 1), ("model=b.csv", 2)):
            (parts / name).write_text(f"n\n{number}\n")
        code = """
            import pandas
            from typing import Dict, List
            def listed(x: List[pandas.DataFrame]): return [int(f["n"][0]) for f in x]
            def named(x: Dict[str, pandas.DataFrame]): return {k: int(f["n"][0]) for k, f in x.items()}
        """
        for function, found in (("listed", "[1,2]"), ("named", '{"model=a":1,"model=b":2}')):
            process = self.run_step(code, function, inputs={"x": ("folder", parts)}, outputs={"out": "json"})
            self.assert_succeeded(process)
            self.assertEqual(self.out("out").read_text(), found)


class ArrayTest(StepTest):
    def test_an_array_goes_round_with_its_shape(self):
        code = "import numpy\ndef step(x: numpy.ndarray): return x.reshape(2, 3)"
        numpy.save(self.folder / "x.npy", numpy.arange(6, dtype="float32"))
        self.assert_succeeded(self.run_step(code, inputs={"x": ("npy", self.folder / "x.npy")}, outputs={"out": "npy"}))
        self.assertEqual(numpy.load(self.out("out")).tolist(), [[0, 1, 2], [3, 4, 5]])
        self.assertEqual(self.described()["schema"], {"shape": [2, 3], "dtype": "float32"})

    def test_arrays_by_name_go_round_whatever_their_names(self):
        code = "import numpy\ndef step(): return {'file': numpy.ones(2), 'a.b/c': numpy.zeros((1, 1), dtype='i4'), 's': 3}"
        self.assert_succeeded(self.run_step(code, outputs={"out": "npz"}))
        first = self.out("out").read_bytes()
        with numpy.load(self.out("out")) as found:
            self.assertEqual({name: found[name].shape for name in found.files}, {"file": (2,), "a.b/c": (1, 1), "s": ()})
        self.assertEqual(self.described()["schema"]["arrays"]["a.b/c"], {"shape": [1, 1], "dtype": "int32"})
        code = "import numpy\nfrom typing import Dict\ndef step(x: Dict[str, numpy.ndarray]): return x"
        self.assert_succeeded(self.run_step(code, inputs={"x": ("npz", first)}, outputs={"out": "npz"}))
        self.assertEqual(self.out("out").read_bytes(), first, "equal arrays are equal files")

    def test_objects_in_arrays_would_be_pickled_and_are_refused(self):
        code = "import numpy\ndef step(): return numpy.array([object()])"
        self.assert_refused(self.run_step(code, outputs={"out": "npy"}), "holds objects of Python.*declare type: pickle")
        numpy.save(self.folder / "x.npy", numpy.array([{}], dtype=object), allow_pickle=True)
        process = self.run_step("def step(x): pass", inputs={"x": ("npy", self.folder / "x.npy")})
        self.assert_refused(process, "holds objects of Python.*declare type: pickle")
        numpy.savez(self.folder / "x.npz", a=numpy.array([{}], dtype=object))
        process = self.run_step("def step(x): pass", inputs={"x": ("npz", self.folder / "x.npz")})
        self.assert_refused(process, "holds objects of Python")

    def test_a_pickle_under_the_name_of_an_array_is_never_loaded(self):
        import pickle

        for kind in ("npy", "npz"):
            process = self.run_step("def step(x): pass", inputs={"x": (kind, pickle.dumps([1]))})
            self.assert_refused(process, f"cannot be read as {kind}: it is no ar")

    def test_tensors_go_through_arrays(self):
        # torch itself is too large to be installed for a test: a module with the few calls of it that are used.
        (self.folder / "source" / "torch.py").write_text(TORCH)
        code = """
            import torch
            from typing import Dict
            def step(x: torch.Tensor, state: Dict[str, torch.Tensor]):
                assert isinstance(x, torch.Tensor) and isinstance(state["w"], torch.Tensor)
                return {"w": x, "b": state["w"]}
        """
        numpy.save(self.folder / "x.npy", numpy.ones(3))
        numpy.savez(self.folder / "s.npz", w=numpy.zeros(2))
        inputs = {"x": ("npy", self.folder / "x.npy"), "state": ("npz", self.folder / "s.npz")}
        self.assert_succeeded(self.run_step(code, inputs=inputs, outputs={"out": "npz"}))
        with numpy.load(self.out("out")) as found:
            self.assertEqual([found["w"].tolist(), found["b"].tolist()], [[1, 1, 1], [0, 0]])
        code = "import torch, numpy\ndef step(): return torch.Tensor(None)"
        self.assert_refused(self.run_step(code, outputs={"out": "npy"}), "unsupported ScalarType BFloat16 .NumPy lacks bfloat16")

    def test_values_of_numpy_become_json_metrics_and_progress(self):
        code = """
            import berth, numpy
            def step():
                berth.metric("auc", numpy.float32(0.5), step=numpy.int64(3))
                berth.progress(numpy.int32(1), numpy.int64(2))
                return {"array": numpy.arange(2), "mean": numpy.float64(1.5)}
        """
        self.assert_succeeded(self.run_step(code, outputs={"out": "json"}))
        self.assertEqual(self.out("out").read_text(), '{"array":[0,1],"mean":1.5}')
        metric, progress = (self.folder / "messages.jsonl").read_text().splitlines()[:2]
        self.assertEqual(json.loads(metric), {"type": "metric", "name": "auc", "value": 0.5, "step": 3})
        self.assertEqual(json.loads(progress), {"type": "progress", "done": 1, "total": 2})


if __name__ == "__main__":
    unittest.main()
