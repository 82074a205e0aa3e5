import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { compileShell, parseTemplate, renderText, type TemplateValues, templateVariables } from "./template.ts";

const VALUES: TemplateValues = {
  params: { seed: 7, "learning-rate": 0.5, name: "a b", flag: true },
  matrix: { model: "knn" },
  inputs: { train: "/berth/in/train" },
  outputs: { model: "/berth/out/model.pkl" },
  run: { id: "run_1", number: 12 },
  batch: { index: 3, count: 9 },
};

test("values are put in their places", () => {
  const render = (template: string) => renderText(template, VALUES);
  assert.equal(render("--seed=${{ params.seed }} ${{matrix.model}}"), "--seed=7 knn");
  assert.equal(render("${{ params.learning-rate }}/${{ params.flag }}"), "0.5/true");
  assert.equal(render("${{ inputs.train }}:${{ outputs.model }}"), "/berth/in/train:/berth/out/model.pkl");
  assert.equal(render("${{ run.id }}#${{ run.number }} ${{ batch.index }}/${{ batch.count }}"), "run_1#12 3/9");
  assert.equal(render("nothing ${HOME} $x {{ y }}"), "nothing ${HOME} $x {{ y }}");
});

test("a template is escaped by one more dollar sign", () => {
  assert.equal(renderText("$${{ params.seed }} is ${{ params.seed }}", VALUES), "${{ params.seed }} is 7");
  assert.deepEqual(compileShell("echo $${{ x }}"), { script: "echo ${{ x }}", env: {} });
});

test("a value that holds a template stays what it is", () => {
  assert.equal(
    renderText("${{ params.name }}", { ...VALUES, params: { name: "${{ params.seed }}" } }),
    "${{ params.seed }}",
  );
});

test("a parameter that was not given is empty; anything else without a value is an error", () => {
  assert.equal(renderText("[${{ params.none }}]", VALUES), "[]");
  assert.throws(
    () => renderText("${{ matrix.model }}", { ...VALUES, matrix: null }),
    /no value for the template matrix.model/,
  );
  assert.throws(() => renderText("${{ inputs.constructor }}", VALUES), /no value/);
});

test("a broken template is named, each for itself", () => {
  const { problems } = parseTemplate("${{ seed }} ${{ parms.x }} ${{ params.a.b }} ${{ params.seed");
  assert.equal(problems.length, 4);
  assert.match(problems[1]!.message, /did you mean "params"/);
  assert.match(problems[3]!.message, /is not closed/);
});

test("in a script a template becomes a variable, and the variable's value is a template again", () => {
  assert.deepEqual(compileShell('run --rate "${{ params.learning-rate }}" < ${{ inputs.train }}'), {
    script: 'run --rate "${BERTH_PARAM_LEARNING_RATE}" < ${BERTH_INPUT_TRAIN}',
    env: { BERTH_PARAM_LEARNING_RATE: "${{ params.learning-rate }}", BERTH_INPUT_TRAIN: "${{ inputs.train }}" },
  });
});

test("every value has its variable", () => {
  assert.deepEqual(templateVariables(VALUES), {
    BERTH_PARAM_SEED: "7",
    BERTH_PARAM_LEARNING_RATE: "0.5",
    BERTH_PARAM_NAME: "a b",
    BERTH_PARAM_FLAG: "true",
    BERTH_MATRIX_MODEL: "knn",
    BERTH_INPUT_TRAIN: "/berth/in/train",
    BERTH_OUTPUT_MODEL: "/berth/out/model.pkl",
    BERTH_RUN_ID: "run_1",
    BERTH_RUN_NUMBER: "12",
    BERTH_BATCH_INDEX: "3",
    BERTH_BATCH_COUNT: "9",
  });
  assert.equal("BERTH_BATCH_INDEX" in templateVariables({ ...VALUES, batch: null }), false);
});

test("no value can become code: a real shell prints it as it is", () => {
  const { script, env } = compileShell('printf %s "${{ params.name }}"');
  const hostile = [
    "; touch /tmp/x",
    "$(id)",
    "`id`",
    '" ; id; "',
    "'",
    "\\",
    "\n id",
    "${HOME}",
    "*",
    "-n",
    "${{ params.name }}",
    "}",
  ];
  for (const name of hostile) {
    const values = { ...VALUES, params: { name } };
    const variables = Object.fromEntries(
      Object.entries(env).map(([key, template]) => [key, renderText(template, values)]),
    );
    const { stdout, stderr } = spawnSync("/bin/sh", ["-e", "-c", script], { env: variables, encoding: "utf8" });
    assert.equal(stdout, name);
    assert.equal(stderr, "");
  }
});

test("any text is parsed, and without templates it stays the same", () => {
  const piece = fc.constantFrom("$", "{", "}", "${{", "}}", " ", "params", ".", "seed", "x", "$${{");
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 20 }).map((parts) => parts.join("")),
      ),
      (text) => {
        const { parts, problems } = parseTemplate(text);
        if (!text.includes("${{")) assert.deepEqual(parts, text === "" ? [] : [text]);
        if (problems.length === 0) assert.equal(typeof compileShell(text).script, "string");
        else assert.throws(() => compileShell(text), /bad template/);
      },
    ),
    { numRuns: 2_000 },
  );
});
