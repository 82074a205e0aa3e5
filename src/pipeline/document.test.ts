import assert from "node:assert/strict";
import { test } from "node:test";
import { readDocument } from "./document.ts";
import { formatProblem } from "./problem.ts";

function refusal(text: string): string {
  const result = readDocument(text);
  assert.ok(!result.ok, `accepted: ${text.slice(0, 100)}`);
  return result.problems.map((problem) => formatProblem("p", problem)).join("\n");
}

function valueIn(text: string): unknown {
  const result = readDocument(text);
  assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.problems));
  return result.document.value;
}

test("values know where they stand", () => {
  const result = readDocument("a: 1\nb:\n  - x\n  - c: 0x10\n");
  assert.ok(result.ok);
  const { document } = result;
  assert.deepEqual(document.position(["b", 1, "c"], "key"), { line: 4, column: 5 });
  assert.deepEqual(document.position(["b", 1, "c"], "value"), { line: 4, column: 8 });
  assert.deepEqual(document.position(["b", "nowhere", "at all"], "value"), { line: 2, column: 1 });
  assert.deepEqual(document.position([], "value"), { line: 1, column: 1 });
  assert.equal(document.sourceOf(["b", 1, "c"]), "0x10");
  assert.equal(document.sourceOf(["b", 0]), null);
});

test("YAML is read by its version 1.2: yes is a text, 010 is ten, dates and sixties are texts", () => {
  assert.deepEqual(valueIn("[yes, no, on, 010, 1:30, 2001-01-01, 1_000, ~, true]"), [
    "yes",
    "no",
    "on",
    10,
    "1:30",
    "2001-01-01",
    "1_000",
    null,
    true,
  ]);
  assert.deepEqual(valueIn("1: a\ntrue: b\n<<: { x: 1 }"), { 1: "a", true: "b", "<<": { x: 1 } });
  assert.match(refusal("%YAML 1.1\n---\na: yes"), /p:1:1: YAML 1.1 is not supported/);
});

test("broken YAML is refused with its place", () => {
  assert.match(refusal("a: 1\n b: 2"), /^p:1:4: not valid YAML: /);
  assert.match(refusal("a: [1, 2\nb: 3"), /not valid YAML/);
  assert.match(refusal("a:\n\t- b"), /p:2:1: not valid YAML: Tabs are not allowed/);
});

test("of broken YAML the first error is shown, for the others follow from it", () => {
  const lines = refusal('steps:\n  c: { when: steps["a-b"].state == "failed", run: echo }\nname: p').split("\n");
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(lines[0]!, /^p:2:\d+: not valid YAML: .*; a condition within \{ \} has to be in quotes/);
  assert.doesNotMatch(refusal('c: { when: "x", run: [1, 2'), /condition/);
  assert.doesNotMatch(refusal("a: [1, 2\nb: 3"), /condition/);
});

test("a file holds one document", () => {
  assert.match(refusal("a: 1\n---\nb: 2\n"), /p:2:1: a second document/);
  assert.deepEqual(valueIn("---\na: 1\n...\n"), { a: 1 });
});

test("a duplicate key is refused, with the line of the first", () => {
  assert.match(refusal("a: 1\nb: 2\na: 3"), /^p:3:1: duplicate key "a", first on line 1$/);
  assert.match(refusal('{"x": {"a": 1, "a": 2}}'), /^p:1:16 x: duplicate key "a"/);
});

test("keys that every object inherits are refused", () => {
  for (const key of ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"]) {
    assert.match(refusal(`a: { ${key}: { polluted: 1 } }`), new RegExp(`the key "${key}" is reserved`));
  }
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test("keys that are no plain texts are refused", () => {
  for (const text of ["? [a]\n: 1", "? {a: 1}\n: 1", "null: 1", "? &x a\n: 1"]) {
    assert.match(refusal(text), /a key must be a plain text/, text);
  }
});

test("tags are refused, those of YAML itself too", () => {
  for (const text of ["a: !!js/function x", "a: !mine x", "a: !!str 1", "!!map {a: 1}", "a: !!binary aGk="]) {
    assert.match(refusal(text), /tags such as .* are not supported/, text);
  }
});

test("control characters are refused, bare or escaped", () => {
  assert.match(refusal("a: 1\nb: x\u0000y"), /p:2:5: the control character "\\u\{0\}" is not allowed/);
  assert.match(refusal("a: \u001b[31mred"), /control character/);
  assert.match(refusal('a: "x\\u0000y"'), /^p:1:4 a: the text "x\\u\{0\}y" holds a control character/);
  assert.match(refusal('"a\\eb": 1'), /the key .* holds a control character/);
  assert.deepEqual(valueIn('a: "x\\ty\\nz"'), { a: "x\ty\nz" });
});

test("numbers that are none are refused", () => {
  for (const text of ["a: .inf", "a: .nan", "a: -.inf"]) assert.match(refusal(text), /not-a-number/);
});

test("aliases stand for what they name", () => {
  assert.deepEqual(valueIn("a: &x { k: 1 }\nb: *x\nc: [*x, *x]"), {
    a: { k: 1 },
    b: { k: 1 },
    c: [{ k: 1 }, { k: 1 }],
  });
  assert.match(refusal("a: *x"), /no anchor "&x" stands before this/);
  assert.match(refusal("a: &x [*x]"), /the anchor "&x" holds itself/);
});

test("an alias bomb is refused before it is expanded", () => {
  const levels = Array.from(
    { length: 30 },
    (_, index) => `a${index + 1}: &a${index + 1} [${`*a${index}, `.repeat(9)}*a${index}]`,
  );
  assert.match(
    refusal(`a0: &a0 [${"x,".repeat(9)}x]\n${levels.join("\n")}`),
    /more than 250000 values once its aliases are followed/,
  );
});

test("a file that is no pipeline by its size is refused unread", () => {
  const started = performance.now();
  assert.match(
    refusal("x".repeat(50 * 1024 * 1024)),
    /p:1:1: the file has 52428800 bytes; a pipeline file has at most 1048576/,
  );
  assert.ok(performance.now() - started < 1_000);
});

test("deep nesting is refused, in every way of writing it", () => {
  for (const text of [
    "[".repeat(100),
    "{a: ".repeat(100),
    "- ".repeat(100),
    "? ".repeat(100),
    "a:\n".replace("a:\n", deepBlock(100)),
  ]) {
    assert.match(refusal(text), /nested more than 32 deep/, text.slice(0, 20));
  }
});

function deepBlock(depth: number): string {
  return Array.from({ length: depth }, (_, index) => `${" ".repeat(index)}a:`).join("\n");
}

/** Much of each of these keeps a naive reader busy for minutes, or overflows its stack. */
const HOSTILE: Readonly<Record<string, string>> = {
  "open lists": "[",
  "open objects": "{a: ",
  dashes: "- ",
  "dashes on lines": "-\n",
  "question marks": "? ",
  "closed lists": "]",
  commas: ",",
  "commas in a list": "[,",
  quotes: '"',
  "single quotes": "'",
  colons: ": ",
  anchors: "&a ",
  aliases: "*a ",
  tags: "!",
  documents: "---\n",
  "ends of documents": "...\n",
  directives: "%\n",
  comments: "#\n",
  blocks: "|\n",
  "long lines": "x",
  blanks: " ",
  tabs: "\t",
  "nested keys": "a: b: ",
  keys: "a: 1\n",
  "carriage returns": "\r",
  backslashes: '"\\',
};

test("a pile of nonsense takes no longer to read than as much sense, whatever it is", () => {
  const timeToRead = (text: string) => {
    const started = performance.now();
    readDocument(text);
    return performance.now() - started;
  };
  const sense = `a:\n${Array.from({ length: 15_000 }, (_, index) => `  k${index}: [x, y]\n`).join("")}`;
  const expected = timeToRead(sense);
  for (const [name, piece] of Object.entries(HOSTILE)) {
    const elapsed = timeToRead(piece.repeat(Math.floor((256 * 1024) / piece.length)));
    // Quadratic time would be thousands of times more; the rest is room for a busy machine.
    assert.ok(elapsed < 20 * expected, `${name}: ${elapsed.toFixed(0)} ms, and ${expected.toFixed(0)} ms for sense`);
  }
});
