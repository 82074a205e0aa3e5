"""Runs a program that describes a pipeline, and writes what it described as JSON: see src/cli/compile/compile-program.ts."""

import importlib.util
import json
import os
import sys
import traceback
from typing import Any, Dict, List, Optional

from berth.authoring.pipeline import DESCRIBED, Pipeline
from berth.authoring.problems import PipelineError, Place


def main(file: str) -> int:
    """Compiles a file; what is wrong with it is part of the result, so this ends with 0 all the same."""
    result = os.environ["BERTH_COMPILE_RESULT"]
    content = compile_file(os.path.abspath(file))
    with open(result, "w", encoding="utf-8") as target:
        json.dump(content, target)
    return 0


def compile_file(file: str) -> Dict[str, Any]:
    """The content of the pipeline file with places, or problems."""
    try:
        _run(file)
        pipeline = _only_pipeline(file)
        content = pipeline.as_file()
        _refuse_odd(content, pipeline)
        return {"pipeline": content, "places": {path: place.as_json() for path, place in pipeline.places.items()}}
    except PipelineError as error:
        return _problem(error.message, error.place, error.path)
    except SyntaxError as error:
        place = Place(os.path.abspath(error.filename), error.lineno or 1) if error.filename else None
        return _problem(f"{type(error).__name__}: {error.msg}", place)
    except SystemExit as error:
        return _problem(f"the program ended itself (exit code {error.code}) before it had described a pipeline", None)
    except Exception as error:
        return _crashed(error, file)


def _run(file: str) -> None:
    """Imports the file under its own name, by which the workers will import it."""
    sys.path.insert(0, os.path.dirname(file))
    name = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _only_pipeline(file: str) -> Pipeline:
    # A pipeline of another file was described by the way, because functions were taken from there.
    own = [pipeline for pipeline in DESCRIBED if pipeline.place.file == file]
    if len(own) == 1:
        return own[0]
    if not own:
        message = 'it describes no pipeline: write `with berth.Pipeline("name"):` and call the steps in it'
        raise PipelineError(message, Place(file, 1))
    names = ", ".join(pipeline.name for pipeline in own)
    raise PipelineError(f"it describes {len(own)} pipelines, {names}: one file describes one", own[1].place)


def _refuse_odd(content: Dict[str, Any], pipeline: Pipeline) -> None:
    """What is no value of a pipeline file, with the key that it is in."""
    for key, value in content.items():
        entries = value.items() if key == "steps" else [("", value)]
        for name, item in entries:
            path = f"steps.{name}" if key == "steps" else key
            try:
                json.dumps(item, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise PipelineError(f"{path} holds what no pipeline file can: {error}", pipeline.places.get(path), path) from error


def _crashed(error: BaseException, file: str) -> Dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if os.path.abspath(frame.filename) == file]
    skipped = next((index for index, frame in enumerate(frames) if os.path.abspath(frame.filename) == file), 0)
    shown: List[str] = traceback.format_list(frames[skipped:])
    print("Traceback (most recent call last):\n" + "".join(shown).rstrip(), file=sys.stderr)
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    if isinstance(error, ModuleNotFoundError):
        message += (
            f" for {sys.executable}, which runs the program: install it there, choose another Python by --python or "
            "VIRTUAL_ENV, or import it inside of the steps that use it"
        )
    return _problem(message, Place(file, own[-1].lineno or 1) if own else None)


def _problem(message: str, place: Optional[Place], path: str = "") -> Dict[str, Any]:
    where = {} if place is None else {"place": place.as_json()}
    return {"problems": [{"message": message, "path": path, **where}]}
