import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { checkSecretName, readSecretValue } from "./secret-input.ts";

function inputOf(isTTY: boolean) {
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: () => stdin });
  const shown: string[] = [];
  const stderr = new PassThrough().on("data", (chunk: Buffer) => shown.push(chunk.toString()));
  return { stdin, shown, input: { stdin: stdin as unknown as NodeJS.ReadStream, stderr } };
}

test("a piped value loses its last line break alone, and a file none", async () => {
  for (const [given, taken] of [
    ["hunter2\n", "hunter2"],
    ["two\nlines\r\n", "two\nlines"],
    ["\n\n", "\n"],
    ["\u0000\u00ff", "\u0000\u00ff"],
  ] as const) {
    const { stdin, input } = inputOf(false);
    stdin.end(given);
    assert.equal((await readSecretValue(input, "TOKEN", undefined)).toString(), taken);
  }
  const folder = mkdtempSync(join(tmpdir(), "berth-secret-"));
  try {
    writeFileSync(join(folder, "key"), "key\n");
    assert.equal((await readSecretValue(inputOf(false).input, "TOKEN", join(folder, "key"))).toString(), "key\n");
    await assert.rejects(readSecretValue(inputOf(false).input, "TOKEN", join(folder, "none")), /cannot be read/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is typed at the prompt is not shown", async () => {
  const { stdin, shown, input } = inputOf(true);
  const value = readSecretValue(input, "TOKEN", undefined);
  stdin.write("hunter2\r");
  assert.equal((await value).toString(), "hunter2");
  assert.equal(shown.join(""), "Value of TOKEN (not shown): \n");
});

test("a value that is empty, given up or too long changes nothing; a value in place of a name is not repeated", async () => {
  const empty = inputOf(false);
  empty.stdin.end("\n");
  await assert.rejects(readSecretValue(empty.input, "TOKEN", undefined), /The value is empty/);
  const long = inputOf(false);
  long.stdin.end(Buffer.alloc(64 * 1024 + 1, "x"));
  await assert.rejects(readSecretValue(long.input, "TOKEN", undefined), /at most 65536/);
  const left = inputOf(true);
  const value = readSecretValue(left.input, "TOKEN", undefined);
  left.stdin.write("half\u0003");
  await assert.rejects(value, /No value was given/);
  assert.throws(
    () => checkSecretName("TOKEN=hunter2"),
    (error: Error) => !error.message.includes("hunter2"),
  );
});
