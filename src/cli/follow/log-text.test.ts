import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLogRecord } from "../../protocol/log-record.ts";
import { createStyle } from "../terminal/style.ts";
import { logText } from "./log-text.ts";

const PLAIN = createStyle(false);
const shown = (text: string, clean = false) => logText(text, { style: PLAIN, clean });
const record = (content: object) => `\u001e${JSON.stringify(content)}`;

test("a structured line is shown as its level, its message and its fields", () => {
  const fields = { host: "db-1", seconds: 3.2, ok: false, words: "two words", empty: "", list: [1, { a: null }] };
  assert.deepEqual(shown(record({ level: "warning", message: "slow answer", fields, at: "2026-01-01T00:00:00Z" })), [
    'WARN slow answer host=db-1 seconds=3.2 ok=false words="two words" empty="" list=[1,{"a":null}]',
  ]);
  assert.deepEqual(shown(record({ message: "no more than that" })), ["INFO no more than that"]);
});

test("fields of several lines, such as a traceback, stand below", () => {
  assert.deepEqual(shown(record({ level: "error", message: "failed", fields: { traceback: "a\n  b", n: 1 } })), [
    "ERROR failed n=1",
    "  traceback:",
    "    a",
    "      b",
  ]);
});

test("levels have colours where there is a terminal", () => {
  const [line] = logText(record({ level: "error", message: "m", fields: { a: 1 } }), {
    ...{ style: createStyle(true), clean: true },
  });
  assert.equal(line, "\u001b[31mERROR\u001b[39m m \u001b[2ma=\u001b[22m1");
});

test("nothing in a record can act on a terminal, although JSON hides it from whoever looks at the bytes", () => {
  const evil = "\u001b[2J\u001b]0;title\u0007\r\u009b31m\u202e";
  const text = record({ level: "info", message: evil, fields: { [evil]: evil, deep: { [evil]: [evil] } } });
  for (const line of shown(text)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what this is for.
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
  }
});

test("what is no record, or a broken one, is shown as text", () => {
  const broken = [
    "\u001e",
    "\u001e{",
    "\u001enull",
    "\u001e[]",
    '\u001e{"level":"loud","message":"m"}',
    '\u001e{"level":"info"}',
    '\u001e{"level":"info","message":7}',
    '\u001e{"level":"info","message":"m","fields":[1]}',
    '\u001e{"message":"half a li',
    '{"level":"info","message":"no mark"}',
    // So deep that whoever writes it out again has no stack left.
    `\u001e{"message":"m","fields":{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}}`,
  ];
  for (const text of broken) {
    assert.equal(parseLogRecord(text), null, text);
    assert.deepEqual(shown(text), [text.replace("\u001e", "␞")]);
  }
  assert.deepEqual(shown("a\u001b[31mb"), ["a\u001b[31mb"]);
  assert.deepEqual(shown("a\u001b[31mb", true), ["ab"]);
});

test("a time that is none is left out, and the rest is shown", () => {
  assert.equal(parseLogRecord(record({ message: "m", at: "yesterday" }))!.at, null);
  assert.equal(
    parseLogRecord(record({ message: "m", at: "2026-01-01T01:00:00+01:00" }))!.at,
    "2026-01-01T01:00:00+01:00",
  );
});
