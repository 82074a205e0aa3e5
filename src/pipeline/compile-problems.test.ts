import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePipeline } from "./compile.ts";
import { compile, ENVIRONMENT, problemsInSteps, problemsOf, warningsOf } from "./testing/compile-text.ts";

test("an unknown key is shown with its place and what was meant", () => {
  const text = `name: p
${ENVIRONMENT}
steps:
  clean:
    imge: x
    run: x
`;
  assert.deepEqual(problemsOf(text.replace("imge", "enviroment")), [
    'p.yaml:5:5 steps.clean: unknown key "enviroment", did you mean "environment"?',
  ]);
});

test("a step that depends on how the run ended has no cache", () => {
  for (const phase of ["on_failure", "finally"]) {
    const problems = problemsInSteps(`{ a: { run: x }, b: { run: x, phase: ${phase}, cache: true } }`).join("\n");
    assert.match(problems, new RegExp(`steps.b.cache: steps of phase ${phase} depend on how the run ended`));
  }
});

test("keys that would do nothing yet are unknown, not ignored", () => {
  for (const key of ["on_failure", "retention"]) {
    assert.match(problemsInSteps(`{ a: { run: x, ${key}: 1 } }`).join("\n"), new RegExp(`unknown key "${key}"`));
  }
});

test("everything wrong is said at once: shapes, references and cycles, in the order of the file", () => {
  assert.deepEqual(
    problemsOf(`name: p
parms: { seed: 7 }
${ENVIRONMENT}
mode: serail
steps:
  a: { run: 7, needs: [c] }
  b: { run: x, needs: [a, nowhere], inputs: { x: a.nothing } }
  c: { run: x, needs: [b], resources: { cpu: none } }
  d: { run: "\${{ params.seed }}", batch: { over: b.out, size: 0 } }
`),
    [
      'p.yaml:2:1: unknown key "parms", did you mean "params"?',
      'p.yaml:4:7 mode: the text "serail" is not allowed here; choose "parallel" or "serial", did you mean "serial"?',
      "p.yaml:6:3 steps.a: steps wait for each other in a cycle: a → c → b → a",
      "p.yaml:6:13 steps.a.run: expected a text, found the number 7",
      'p.yaml:7:27 steps.b.needs[1]: there is no step "nowhere"',
      'p.yaml:7:50 steps.b.inputs.x: the step "a" has no output "nothing"; it has none',
      'p.yaml:8:46 steps.c.resources.cpu: expected a number, found the text "none"',
      "p.yaml:9:63 steps.d.batch.size: the number 0 is too small; at least 1",
    ],
  );
});

test("GPUs are whole ones, and disk has a unit", () => {
  const step = (resources: string) => problemsInSteps(`{ a: { run: x, resources: ${resources} } }`).join();
  assert.match(step("{ gpu: 0.5 }"), /resources\.gpu: expected a whole number/);
  assert.match(step("{ gpu: -1 }"), /resources\.gpu: the number -1 is too small/);
  assert.match(step("{ gpu: 65 }"), /resources\.gpu: the number 65 is too large/);
  assert.match(step("{ disk: 20 }"), /resources\.disk: expected a text/);
  assert.match(step("{ gpus: 1 }"), /unknown key "gpus", did you mean "gpu"/);
});

test("what follows from a slip of the pen is not reported as well", () => {
  assert.equal(problemsInSteps("{ a: { rnu: x, otputs: [o] }, b: { run: x, inputs: { i: a.o } } }").length, 2);
  assert.equal(problemsOf("name: p\nenviroment: { image: x }\nsteps: { a: { run: x } }").length, 1);
  assert.equal(problemsOf("name: p\nenvironment: { imag: x }\nsteps: { a: { run: x } }").length, 1);
});

test("a step that is there but wrong is no missing step to those that name it", () => {
  assert.deepEqual(
    problemsInSteps("{ a: { run: [x] , outputs: { o: 1 } }, b: { run: x, inputs: { i: a.o } } }").length,
    2,
  );
});

test("what is missing is asked for, with advice", () => {
  assert.deepEqual(compilePipeline("{}", { fileName: "some/wine.yaml" }), {
    ok: false,
    problems: [
      { path: "name", message: '"name" is missing; add for example "name: wine"', line: 1, column: 1 },
      { path: "steps", message: '"steps" is missing', line: 1, column: 1 },
    ],
  });
  assert.match(problemsOf("").join(), /expected a mapping, found nothing/);
  assert.match(problemsOf("name: p\nsteps: {}").join(), /holds no step/);
  assert.match(
    problemsOf("name: p\nsteps: { a: { run: x } }").join(),
    /has no environment to run in: add an "environment"/,
  );
  assert.match(problemsInSteps("{ a: {} }").join(), /needs one of run, command, python and typescript/);
  assert.match(problemsInSteps("{ a: { run: x, command: [x] } }").join(), /has run and command: choose one/);
  assert.match(problemsInSteps("{ a: }").join(), /expected a mapping, found nothing/);
});

test("references that lead nowhere are refused with what was meant", () => {
  const steps = (b: string) =>
    problemsInSteps(`{ prepare: { run: x, outputs: { train: t.csv } }, b: { run: x, ${b} } }`).join("\n");
  assert.match(steps("needs: [prepre]"), /no step "prepre", did you mean "prepare"/);
  assert.match(steps("needs: [prepare, prepare]"), /"prepare" is listed twice/);
  assert.match(steps("needs: [b]"), /cannot need itself/);
  assert.match(steps("inputs: { x: prepre.train }"), /no step "prepre", did you mean "prepare"/);
  assert.match(steps("inputs: { x: prepare.trian }"), /no output "trian", did you mean "train"/);
  assert.match(steps("inputs: { x: prepare }"), /must name an output of a step/);
  assert.match(steps("inputs: { x: b.y }, outputs: [y]"), /cannot read its own output/);
  assert.match(steps("batch: { over: b.y }, outputs: [y]"), /cannot read its own output/);
  assert.match(steps("batch: { over: prepare.train }, inputs: { batch: prepare.train }"), /"batch" is taken/);
  assert.match(steps("environment: debain"), /no environment "debain"/);
  assert.match(steps("inputs: { x: { from: prepare.train, gather: csv } }"), /nothing to gather/);
  assert.match(steps("inputs: { x: { from: prepare.train, type: folder } }"), /is a file and cannot be read as folder/);
  assert.match(steps("batch: { over: prepare.train, format: files }"), /is a file: split it by lines/);
});

test("files and folders that an environment names are looked up where the caller can", () => {
  const text = `name: p
environment: { base: debian, python: { requirements: reqs.txt }, source: code/ }
environments:
  own: { dockerfile: code, context: there }
steps:
  a: { run: x }
  b: { run: x, environment: own }
`;
  const kindOf = (path: string) => (path.startsWith("code") || path === "there" ? "folder" : "nothing");
  const result = compilePipeline(text, { kindOf });
  assert.ok(!result.ok);
  assert.deepEqual(
    result.problems.map(({ path, message, line }) => `${line} ${path}: ${message}`),
    [
      '2 environment.python.requirements: there is no file "reqs.txt" in the folder of the pipeline file',
      '4 environments.own.dockerfile: "code" is a folder, not a file',
    ],
  );
  assert.ok(compilePipeline(text).ok, "a server has no such folder to look into");
});

test("folders are gathered and split only as folders", () => {
  const steps = (b: string) =>
    problemsInSteps(
      `{ a: { run: x, outputs: { f: f/ } }, m: { run: x, matrix: { i: [1] }, outputs: { f: f/ } }, b: { run: x, ${b} } }`,
    ).join();
  assert.match(steps("batch: { over: a.f, format: lines }"), /is a folder, which is split by files only/);
  assert.match(steps("inputs: { x: { from: m.f, gather: lines } }"), /holds folders/);
  assert.match(steps("inputs: { x: { from: m.f, type: csv } }"), /is a folder and cannot be read as csv/);
});

test("types that Berth cannot look into are neither split nor joined, and its own are said how", () => {
  const file = (b: string) =>
    `{ a: { run: x, outputs: { p: p.parquet, o: { type: x-own } } }, m: { run: x, matrix: { i: [1] }, outputs: { p: p.npy } }, b: { run: x, ${b} } }`;
  const steps = (b: string) => problemsInSteps(file(b)).join();
  assert.match(steps("batch: { over: a.p }"), /batch.over: "a.p" is of type parquet, which cannot be split/);
  assert.match(steps("batch: { over: a.p, format: lines }"), /"a.p" is of type parquet, which cannot be split/);
  assert.match(steps("inputs: { x: { from: m.p, gather: csv } }"), /"m.p" holds npy files, which can only be gathered/);
  assert.match(steps("batch: { over: a.o }"), /"a.o" is of type x-own: say by `format` how it is split/);
  assert.match(steps("when: steps.a.outputs.p == 1"), /is of type parquet, which a condition cannot read/);
  const good = [
    "batch: { over: m.p }",
    "batch: { over: a.o, format: files }, inputs: { x: { from: a.o, type: folder } }",
  ];
  for (const b of good) compile(`name: p\n${ENVIRONMENT}\nsteps: ${file(b)}`);
});

test("a type that is none is refused with those that there are", () => {
  const file = (type: string) => `{ a: { run: x, outputs: { o: { type: ${type} } } } }`;
  const output = (type: string) => problemsInSteps(file(type)).join();
  assert.match(output("jsn"), /"jsn" is not allowed here; choose "file" or .*"pickle", did you mean "json"/);
  assert.match(output("x-Image"), /"x-Image": a type of your own is called x-name, in small letters/);
  assert.equal(compile(`name: p\n${ENVIRONMENT}\nsteps: ${file("x-image.v2")}`).steps[0]!.outputs.o!.path, "o");
});

test("a file is pickled only where that is said, since reading it runs its code", () => {
  const file = (outputs: string) => `{ a: { python: "m:f", outputs: ${outputs} } }`;
  for (const outputs of ["{ m: m.pkl }", "{ m: { path: m.pkl } }", "[m.pkl]"]) {
    const message = /a file ending in .pkl is not pickled by that alone: write type: pickle/;
    assert.match(problemsInSteps(file(outputs)).join(), message);
  }
  const said = file("{ m: { path: m.pkl, type: pickle }, n: { path: n.pkl, type: file } }");
  for (const steps of [said, "{ a: { run: x, outputs: [m.pkl] } }"])
    compile(`name: p\n${ENVIRONMENT}\nsteps: ${steps}`);
});

test("each tangle of steps is reported once, with a way around it", () => {
  const found = problemsInSteps(
    "{ r: { run: x, needs: [a, c] }, a: { run: x, needs: [b] }, b: { run: x, needs: [a] }, c: { run: x, needs: [d] }, d: { run: x, needs: [c] } }",
  );
  assert.deepEqual(found, [
    "steps.a: steps wait for each other in a cycle: a → b → a",
    "steps.c: steps wait for each other in a cycle: c → d → c",
  ]);
});

test("in serial mode a step cannot need one below it", () => {
  assert.match(
    problemsInSteps("{ a: { run: x, needs: [b] }, b: { run: x } }", "mode: serial").join(),
    /"b", which comes later/,
  );
});

test("templates that name what is not there are refused with what was meant", () => {
  const head = "params: { seed: 7 }";
  const run = (template: string) => problemsInSteps(`{ a: { run: "\${{ ${template} }}" } }`, head).join("\n");
  assert.match(run("params.sed"), /no "params.sed", did you mean "params.seed"/);
  assert.match(run("param.seed"), /did you mean "params"/);
  assert.match(run("params"), /must read scope.name/);
  assert.match(run("matrix.model"), /the step has no matrix/);
  assert.match(run("batch.index"), /the step has no batch/);
  assert.match(run("run.nmber"), /did you mean "run.number"/);
  assert.match(run("inputs.x"), /the step has no inputs/);
  assert.match(problemsInSteps(`{ a: { run: "\${{ params.seed" } }`, head).join(), /is not closed/);
  assert.match(
    problemsInSteps(`{ a: { command: [x, "\${{ params.x }}"] } }`, head).join(),
    /command\[1\]: there is no/,
  );
  assert.match(problemsInSteps(`{ a: { run: x, env: { A: "\${{ params.x }}" } } }`, head).join(), /env.A: there is no/);
  assert.match(problemsInSteps("{ a: { run: x } }", `env: { A: "\${{ matrix.x }}" }`).join(), /cannot be used here/);
});

test("templates where none are replaced are refused, not left as text", () => {
  assert.match(
    problemsInSteps(`{ a: { run: x, outputs: { o: "\${{ params.x }}.csv" } } }`).join(),
    /replaced only in run, command and env/,
  );
  const environment = `name: p\nenvironment: { image: x, env: { A: "\${{ params.x }}" } }\nsteps: { a: { run: x } }`;
  assert.match(problemsOf(environment).join(), /an environment knows no run/);
});

test("a template in single quotes is warned of, because the shell would leave it as it is", () => {
  const warnings = (script: string) =>
    warningsOf(`name: p\n${ENVIRONMENT}\nparams: { x: 1 }\nsteps: { a: { run: ${JSON.stringify(script)} } }`);
  assert.match(warnings("echo '${{ params.x }}'").join(), /stands in single quotes/);
  for (const fine of [
    "echo ${{ params.x }}",
    'echo "it\'s ${{ params.x }}"',
    "# don't\necho ${{ params.x }}",
    "echo \\' ${{ params.x }}",
  ]) {
    assert.deepEqual(warnings(fine), [], fine);
  }
});

test("names that would become the same variable are refused", () => {
  const problems = problemsInSteps(
    "{ a: { run: x, outputs: { o-p: x, o_P: y }, matrix: { m-n: [1], m_n: [1] } } }",
    "params: { a-b: 1, a_b: 2 }",
  );
  assert.equal(problems.filter((line) => line.includes("would both be BERTH_")).length, 3, problems.join("\n"));
});

test("unsafe names and paths are refused, and shown without harm", () => {
  const long = "x".repeat(1_000);
  assert.match(problemsInSteps(`{ ../up: { run: x } }`).join(), /"..\/up": a name starts with a letter/);
  const shown = problemsInSteps(`{ ${long}: { run: x } }`).join();
  assert.match(shown, /a name starts with a letter/);
  assert.ok(shown.length < 400, "cut");
  assert.match(problemsInSteps(`{ "a\\u202Eb": { run: x } }`).join(), /"a\\u\{202e\}b"/);
  for (const path of ["../x", "/etc/passwd", "a//b", "./a", "a/..", "a\\\\b", "."]) {
    assert.match(
      problemsInSteps(`{ a: { run: x, outputs: { o: "${path}" } } }`).join(),
      /must be a path inside the step's output folder/,
      path,
    );
  }
  assert.match(
    problemsInSteps("{ a: { run: x, outputs: { o: dir, p: dir/x.csv } } }").join(),
    /lies inside the output "o"/,
  );
  assert.match(problemsInSteps("{ a: { run: x, outputs: { o: x, p: x/ } } }").join(), /or is the same/);
  assert.deepEqual(
    compile(`name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, outputs: { o: x, p: x-y, q: x.z } } }`).steps.length,
    1,
  );
});

test("parameters are checked against their own definition", () => {
  const params = (text: string) => problemsInSteps("{ a: { run: x } }", `params: { p: ${text} }`).join("\n");
  assert.match(params("{ type: integer, default: x }"), /must be a whole number/);
  assert.match(params("{ type: string, default: 3.10 }"), /must be a text, not 3.1: write it in quotes/);
  assert.match(params("{ type: boolean, default: yes }"), /must be true or false, not "yes"/);
  assert.match(params("{ description: x }"), /needs a "type"/);
  assert.match(params("{ default: 1, required: true }"), /remove one of the two/);
  assert.match(params("{ default: c, choices: [a, b] }"), /is none of the choices/);
  assert.match(params("{ choices: [a, a] }"), /is listed twice/);
  assert.match(params("{ choices: [a, 1] }"), /must be a text/);
  assert.match(params("99999999999999999999"), /whole number between/);
  assert.match(params("[1]"), /expected a text or a number or true or false or a mapping, found a list/);
  const types = compile(
    `name: p\n${ENVIRONMENT}\nparams: { a: 1, b: 1.0, c: x, d: false, e: { choices: [x] } }\nsteps: { s: { run: x } }`,
  ).params;
  assert.deepEqual(
    Object.values(types).map(({ type, required }) => `${type} ${required}`),
    ["integer false", "number false", "string false", "boolean false", "string true"],
  );
});

test("matrix values are refused where they could not stand in a key, and warned of where YAML changed them", () => {
  const matrix = (text: string) => problemsInSteps(`{ a: { run: x, matrix: ${text} } }`).join("\n");
  assert.match(matrix("{}"), /holds no values/);
  assert.match(matrix("{ m: [] }"), /an empty list is too short/);
  assert.match(matrix("{ m: [a, a] }"), /"a" is listed twice/);
  assert.match(matrix('{ m: [1, "1"] }'), /"1" is listed twice/);
  for (const value of ["a/b", "a,b", "a=b", "a]", ""])
    assert.match(matrix(`{ m: ["${value}"] }`), /a matrix value holds/, value);
  const many = `[${Array.from({ length: 101 }, (_, index) => index).join()}]`;
  assert.match(matrix(`{ m: ${many}, n: ${many} }`), /makes 10201 combinations; at most 10000/);
  assert.match(
    problemsInSteps(
      `{ a: { run: x, matrix: { m: ${many}, n: [${Array.from({ length: 99 }, (_, index) => index).join()}] } }, b: { run: x, matrix: { m: [1, 2] } } }`,
    ).join(),
    /10001 with those of the steps above/,
  );
  assert.match(
    warningsOf(`name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, matrix: { v: [3.9, 3.10] } } }`).join(),
    /3.10 is read as the number 3.1/,
  );
});

test("a combination too long for the name of a file is refused", () => {
  const value = "x".repeat(100);
  const dimensions = Array.from({ length: 6 }, (_, index) => `d${index}: [${value}]`).join(", ");
  assert.match(
    problemsInSteps(`{ a: { run: x, matrix: { ${dimensions} } } }`).join(),
    /623 characters, names included; at most 200/,
  );
});

test("more problems than anyone reads are counted", () => {
  const steps = Array.from({ length: 500 }, (_, index) => `s${index}: { run: x, needs: [t${index}] }`).join(", ");
  const problems = problemsInSteps(`{ ${steps} }`);
  assert.equal(problems.length, 101);
  assert.match(problems.at(-1)!, /… and 400 more problems/);
});

test("five thousand steps compile, and one more is refused", () => {
  const steps = (count: number) =>
    Array.from(
      { length: count },
      (_, index) => `  s${index}: { run: x, needs: [${index === 0 ? "" : `s${index - 1}`}] }`,
    ).join("\n");
  assert.equal(compile(`name: p\n${ENVIRONMENT}\nsteps:\n${steps(5_000)}`).steps.length, 5_000);
  assert.match(problemsOf(`name: p\n${ENVIRONMENT}\nsteps:\n${steps(5_001)}`).join(), /more than 5000 entries/);
});

test("environments refuse what does not go together, and what could reach beyond one instruction", () => {
  const environment = (text: string) =>
    problemsOf(`name: p\nenvironment: ${text}\nsteps: { a: { run: x } }`).join("\n");
  assert.match(environment("{}"), /needs exactly one of base/);
  assert.match(environment("{ base: a, image: b }"), /has base and image; it takes exactly one/);
  assert.match(environment("{ image: a, apt: [git] }"), /"apt" goes with base, not with image/);
  assert.match(environment("{ dockerfile: D, source: . }"), /"source" goes with base or image, not with dockerfile/);
  assert.match(environment('{ base: "a\\nRUN x" }'), /is no image reference/);
  assert.match(environment("{ base: --x }"), /is no image reference/);
  for (const name of ["-y", "git-", "git;x", "GIT"])
    assert.match(environment(`{ base: a, apt: ["${name}"] }`), /is no package name/, name);
  for (const name of ["-r x", "a @ file:///x", "a; x"]) {
    assert.match(environment(`{ base: a, python: { packages: ["${name}"] } }`), /is no package name/, name);
  }
  for (const name of ["--x", "../x", "git+ssh://x"]) {
    assert.match(environment(`{ base: a, node: { packages: ["${name}"] } }`), /is no package name/, name);
  }
  assert.match(environment("{ base: a, python: {} }"), /needs "requirements", "lockfile" or "packages"/);
  assert.match(
    environment("{ base: a, python: { requirements: ../r.txt } }"),
    /must be a path inside the source folder/,
  );
  assert.match(environment("{ base: a, node: { lockfile: bun.lock } }"), /must name a package-lock.json/);
  assert.match(
    environment("{ base: a, node: { lockfile: yarn.lock, manager: pnpm@9.1.0 } }"),
    /goes with a pnpm-lock.yaml/,
  );
  assert.match(environment("{ base: a, python: { lockfile: uv.lock, packages: [a] } }"), /stands alone/);
  assert.match(environment("{ base: a, source: /etc }"), /must be a path inside the source folder/);
  assert.match(environment("{ image: a, env: { BERTH_X: y } }"), /names that start with BERTH_ are reserved/);
  assert.match(environment("{ image: a, env: { 1A: y } }"), /a variable's name holds/);
  const accepted = `{ base: a, apt: [g++, jq=1.6-2.1, libc6], python: { packages: ["numpy>=2,<3", "a[b,c]==1.0"] }, node: { packages: ["@a/b@^1.2", zod] } }`;
  compile(`name: p\nenvironment: ${accepted}\nsteps: { a: { run: x } }`);
});

test("a priority outside of its range is refused with its place", () => {
  const head = `name: p\n${ENVIRONMENT}\n`;
  const steps = 'steps: { a: { run: "true" } }';
  assert.deepEqual(problemsOf(`${head}priority: 101\n${steps}`), [
    "p.yaml:3:11 priority: the number 101 is too large; at most 100",
  ]);
  assert.deepEqual(problemsOf(`${head}priority: high\n${steps}`), [
    'p.yaml:3:11 priority: expected a number, found the text "high"',
  ]);
});

test("a duration that is too long is told the longest", () => {
  const file = (timeout: string) => `name: p\n${ENVIRONMENT}\ntimeout: ${timeout}\nsteps: { a: { run: x } }`;
  const problem = (timeout: string) => problemsOf(file(timeout)).join();
  assert.match(problem("99999999999d"), /has more than 9 digits: .*the maximum is 104249991d/);
  assert.match(problem("104249992d"), /at most 104249991d/);
  assert.match(problem("0.1ms"), /at least 1 ms/);
  assert.match(problem("soon"), /must be a duration such as "30s"/);
  assert.equal(compile(file("104249991d")).timeoutMs, 104_249_991 * 86_400_000);
});

test("what is said of outputs beside their bytes is checked, with its place", () => {
  const file = (output: string) =>
    `name: p\n${ENVIRONMENT}\nsteps:\n  a:\n    run: x\n    outputs:\n      o: ${output}\n`;
  const problem = (output: string) => problemsOf(file(output)).join();
  assert.match(
    problem("{ path: o.bin, contentType: model }"),
    /^p\.yaml:7:\d+ steps\.a\.outputs\.o\.contentType: ".*": is not a content type/,
  );
  assert.match(problem("{ path: o.bin, contentType: text/html\\r\\nx }"), /contentType: ".*": is not a content type/);
  assert.match(problem("{ path: o/, contentType: text/csv }"), /outputs\.o\.contentType: a folder has no content type/);
  assert.match(problem("{ path: o, tags: { 'a b': c } }"), /^p\.yaml:7:\d+ steps\.a\.outputs\.o\.tags/);
  assert.match(problem("{ path: o, tags: { a: [b] } }"), /outputs\.o\.tags\.a: /);
  assert.match(problem("{ path: o, tags: team }"), /outputs\.o\.tags: /);
  assert.match(problem(`{ path: o, tags: { a: ${"x".repeat(257)} } }`), /outputs\.o\.tags\.a: /);
  assert.match(problem('{ path: o, tags: { a: "b\\nc" } }'), /outputs\.o\.tags\.a: .*control characters/);
  const { outputs } = compile(file("{ path: o.bin, contentType: application/x-foo, tags: { team: ml, year: 2026 } }"))
    .steps[0]!;
  assert.deepEqual([outputs.o!.contentType, outputs.o!.tags], ["application/x-foo", { team: "ml", year: "2026" }]);
});
