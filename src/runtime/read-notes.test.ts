import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { OutputPlan } from "../protocol/plan.ts";
import { MESSAGE_LINE_MAX_BYTES, METRICS_MAX } from "../protocol/step-message.ts";
import { MessageLines } from "./message-lines.ts";
import { readNotes } from "./read-notes.ts";

const plain = (text: string) => text;
const MODEL: OutputPlan = { path: "model.bin", type: "file", optional: false, when: "success" };

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-messages-"));
  file = join(folder, "messages.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function says(...messages: readonly unknown[]): void {
  appendFileSync(file, messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
}

async function warningsOf(): Promise<readonly string[]> {
  return (await readNotes(folder, { model: MODEL }, plain)).warnings;
}

describe("what a step says of its outputs", () => {
  test("is put together from all its messages, the later one winning", async () => {
    says({ type: "output", name: "model", tags: { team: "ml", year: 2026 }, format: "pickle" });
    says({ type: "progress", done: 1 }, { type: "output", name: "model", tags: { team: "core" }, format: "onnx" });
    says({ type: "output", name: "model", contentType: "application/x-onnx", schema: { inputs: ["x"] } });
    assert.deepEqual(await readNotes(folder, { model: MODEL }, plain), {
      notes: {
        model: {
          ...{ tags: { team: "core", year: "2026" }, format: "onnx" },
          ...{ contentType: "application/x-onnx", schema: { inputs: ["x"] } },
        },
      },
      warnings: [],
    });
  });

  test("wins over what the pipeline file says, tag by tag", async () => {
    says({ type: "output", name: "model", tags: { stage: "trained" } });
    const declared = { model: { ...MODEL, contentType: "application/x-model", tags: { team: "ml", stage: "new" } } };
    assert.deepEqual((await readNotes(folder, declared, plain)).notes, {
      model: { contentType: "application/x-model", tags: { team: "ml", stage: "trained" } },
    });
  });

  test("is nothing, and no warning, of a step that says nothing", async () => {
    assert.deepEqual(await readNotes(folder, { model: MODEL }, plain), { notes: {}, warnings: [] });
  });

  test("ends with its last line, also without a line feed", async () => {
    writeFileSync(file, '{"type":"output","name":"model","format":"onnx"}');
    assert.deepEqual((await readNotes(folder, { model: MODEL }, plain)).notes, { model: { format: "onnx" } });
  });
});

describe("lines that cannot be used are told once per kind, and the others count", () => {
  const cases: readonly (readonly [what: string, line: string | Buffer, warning: RegExp])[] = [
    ["no JSON", "hello", /^Line 1 of the step's messages: it is not JSON\. It was ignored\.$/],
    ["NaN, as Python writes it", '{"type":"metric","name":"loss","value":NaN}', /it is not JSON/],
    ["a NUL", '{"type":"progress","done":1\u0000}', /it is not JSON/],
    ["bytes that are no UTF-8", Buffer.from([0xff, 0xfe, 0x7b]), /it is not JSON/],
    ["a list", "[1]", /it is not a JSON object/],
    ["null", "null", /it is not a JSON object/],
    ["an unknown type", '{"type":"chart"}', /its type "chart" is none of progress, metric, output/],
    ["a type from the prototype", '{"type":"constructor"}', /its type "constructor" is none of/],
    ["no type", "{}", /its type \(none\) is none of/],
    [
      "a number as text",
      '{"type":"metric","name":"auc","value":"0.9"}',
      /the step's messages: in a metric message, value: expected number, received string\./,
    ],
    ["a number beyond all", '{"type":"metric","name":"auc","value":1e999}', /in a metric message, value: /],
    ["a name of control characters", '{"type":"metric","name":"\\u001b[31m","value":1}', /name: holds no control/],
    ["progress of nothing", '{"type":"progress"}', /needs done, or message/],
    ["an unknown output", '{"type":"output","name":"modell"}', /the step has no output "modell"/],
    ["a tag that is none", '{"type":"output","name":"model","tags":{"a b":"c"}}', /in an output message, tags\.a b: /],
    [
      "a content type that ends a header",
      '{"type":"output","name":"model","contentType":"a/b\\r\\nx: y"}',
      /contentType/,
    ],
    [
      "a key that nobody knows",
      '{"type":"progress","done":1,"unit":"rows"}',
      /has no key "unit"\. It was used without it/,
    ],
    [
      "a type so deep that writing it out would take the stack",
      `{"type":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
      /its type \(a list\) is none of/,
    ],
    ...['{"__proto__":1}', '{"constructor":{"prototype":1}}', '{"\\u0000":1}', '[{"\\ud800":1}]'].map(
      (schema): (typeof cases)[number] => [
        `a schema that could be neither sent nor stored: ${schema}`,
        `{"type":"output","name":"model","schema":${schema}}`,
        /schema: has no key __proto__/,
      ],
    ),
  ];
  for (const [what, line, warning] of cases) {
    test(what, async () => {
      appendFileSync(file, line);
      appendFileSync(file, "\n\n");
      says({ type: "output", name: "model", format: "onnx" });
      const said = await readNotes(folder, { model: MODEL }, plain);
      assert.equal(said.warnings.length, 1, said.warnings.join("\n"));
      assert.match(said.warnings[0]!, warning);
      assert.deepEqual(said.notes, { model: { format: "onnx" } });
    });
  }

  test("many of a kind are one warning with their number", async () => {
    writeFileSync(file, "a\nb\nc\n");
    assert.deepEqual(await warningsOf(), [
      "Line 1 of the step's messages: it is not JSON. It was ignored, and so were 2 more.",
    ]);
  });

  test("a line of many megabytes is left out whole, and never held", async () => {
    writeFileSync(file, "x".repeat(20 * MESSAGE_LINE_MAX_BYTES));
    appendFileSync(file, '{"type":"output","name":"model","format":"evil"}\n');
    says({ type: "output", name: "model", format: "onnx" }, "last");
    const said = await readNotes(folder, { model: MODEL }, plain);
    assert.deepEqual(said.notes, { model: { format: "onnx" } });
    assert.match(said.warnings[0]!, /^Line 1 of the step's messages: it is longer than 64 KiB/);
    assert.match(said.warnings[1]!, /^Line 3 /);
  });

  test("more metrics than are kept", async () => {
    const line = `${JSON.stringify({ type: "metric", name: "loss", value: 1 })}\n`;
    writeFileSync(file, line.repeat(METRICS_MAX));
    assert.deepEqual(await warningsOf(), []);
    appendFileSync(file, line);
    assert.match((await warningsOf())[0]!, /^Line 10001 .*the first 10000 metrics are kept/);
  });

  test("more tags than one version may have, said in several messages", async () => {
    const tags = (from: number) => Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`t${from + at}`, "x"]));
    says({ type: "output", name: "model", tags: tags(0) }, { type: "output", name: "model", tags: tags(30) });
    const said = await readNotes(folder, { model: MODEL }, plain);
    assert.equal(Object.keys(said.notes.model!.tags!).length, 30);
    assert.match(said.warnings[0]!, /more than 50 tags/);
  });
});

describe("a file that is none", () => {
  const expected = ["The step's messages were ignored: $BERTH_MESSAGES has to be a plain file."];

  test("a link is not followed", async () => {
    const elsewhere = join(folder, "elsewhere");
    writeFileSync(elsewhere, '{"type":"output","name":"model","format":"stolen"}\n');
    symlinkSync(elsewhere, file);
    assert.deepEqual(await readNotes(folder, { model: MODEL }, plain), { notes: {}, warnings: expected });
  });

  test("a FIFO does not hold anything up", async () => {
    execFileSync("mkfifo", [file]);
    assert.deepEqual(await warningsOf(), expected);
  });

  test("a file that was replaced by a shorter one is read no further", () => {
    const lines = new MessageLines(folder, plain);
    says({ type: "progress", done: 1 }, { type: "progress", done: 2 });
    assert.equal(lines.next({ ended: false })!.length, 2);
    truncateSync(file, 3);
    assert.equal(lines.next({ ended: false }), null);
    assert.equal(lines.stop, "shortened");
    says({ type: "progress", done: 3 }, { type: "progress", done: 4 });
    assert.equal(lines.next({ ended: true }), null);
  });
});

test("a line that is still being written is read once it is whole", () => {
  const lines = new MessageLines(folder, plain);
  assert.equal(lines.next({ ended: false }), null);
  writeFileSync(file, '{"type":');
  assert.equal(lines.next({ ended: false }), null);
  appendFileSync(file, '"progress"}\n{"ty');
  assert.deepEqual(lines.next({ ended: false }), [{ position: 0, number: 1, text: '{"type":"progress"}' }]);
  assert.equal(lines.next({ ended: false }), null);
  assert.deepEqual(lines.next({ ended: true }), [{ position: 20, number: 2, text: '{"ty' }]);
});
