import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { runCaptured } from "../testing/run-captured.ts";

/** What the package does with a program is tested beside it, in sdk/python/tests; here, how the commands take it. */

const folder = mkdtempSync(join(tmpdir(), "berth-compile-python-"));
after(() => rmSync(folder, { recursive: true }));

const PROGRAM = `import berth

print("told to people")


@berth.step(resources={"memory": "1GiB"})
def double(n: int) -> dict:
    return {"n": 2 * n}


with berth.Pipeline("twice", params={"n": 1}, environment={"image": "python:3.12"}):
    double()
`;

function program(text: string, name = "twice.py"): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test("a pipeline that is written in Python becomes the same file each time", async () => {
  const path = program(PROGRAM);
  const first = await runCaptured(["compile", path]);
  assert.equal(first.exitCode, 0, first.stderr);
  assert.equal(
    first.stdout,
    `# Made from twice.py by berth compile: change that file, and compile it again.
name: twice
params:
  n: 1
environment:
  image: python:3.12
  source: .
steps:
  double:
    python: twice:double
    resources:
      memory: 1GiB
    outputs:
      result:
        type: json
`,
  );
  const again = await runCaptured(["compile", path, "-o", join(folder, "twice.yaml")]);
  assert.equal(again.exitCode, 0, again.stderr);
  assert.equal(readFileSync(join(folder, "twice.yaml"), "utf8"), first.stdout);
  assert.equal((await runCaptured(["validate", path, join(folder, "twice.yaml")])).exitCode, 0);
});

test("problems are told with the line of the program", async () => {
  const cases: [string, string, RegExp][] = [
    ["1GiB", "1GB of", /twice\.py:6:1 steps\.double\.resources\.memory: .*must be a size/],
    ['"image": "python', '"imge": "python', /twice\.py:11:1 environment: unknown key "imge", did you mean "image"/],
    ["double()", 'double.options(whn="x")()', /twice\.py:12:1 steps\.double: unknown key "whn", did you mean "when"/],
    ["    double()", "    double(n=None)", /twice\.py:12:1: the argument 'n' of double is None: it is an output/],
    ["print(", "print(undefined, ", /twice\.py:3:1: NameError: name 'undefined' is not defined/],
    ["import berth", "import nowhere", /twice\.py:1:1: ModuleNotFoundError: .*choose another Python by --python/],
  ];
  for (const [from, to, message] of cases) {
    const { exitCode, stderr } = await runCaptured(["validate", program(PROGRAM.replace(from, to))]);
    assert.equal(exitCode, 2);
    assert.match(stderr, message);
  }
});

test("the Python is the one that is named, or that of the virtual environment", async () => {
  const path = program(PROGRAM);
  const missing = await runCaptured(["compile", path, "--python", "/nowhere/python"]);
  assert.equal(missing.exitCode, 2);
  assert.match(missing.stderr, /needs Python: there is no program \/nowhere\/python/);
  const venv = join(folder, "venv");
  mkdirSync(join(venv, "bin"), { recursive: true });
  // What ran it shows in what it was given.
  writeFileSync(join(venv, "bin/python"), '#!/bin/sh\nFROM_VENV=yes exec python3 "$@"\n');
  chmodSync(join(venv, "bin/python"), 0o755);
  const told = program(PROGRAM.replace('"twice"', '"twice-" + __import__("os").environ.get("FROM_VENV", "no")'));
  const before = process.env.VIRTUAL_ENV;
  process.env.VIRTUAL_ENV = venv;
  try {
    assert.match((await runCaptured(["compile", told])).stdout, /name: twice-yes/);
    assert.match((await runCaptured(["compile", told, "--python", "python3"])).stdout, /name: twice-no/);
  } finally {
    if (before === undefined) delete process.env.VIRTUAL_ENV;
    else process.env.VIRTUAL_ENV = before;
  }
});

test("the example in Python is a pipeline without a warning, on a machine without pandas", async () => {
  const example = resolve(import.meta.dirname, "../../../examples/python/wine.py");
  const { exitCode, stdout, stderr } = await runCaptured(["validate", example]);
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /pipeline wine-python, 3 steps/);
  assert.equal(stderr, "");
});
