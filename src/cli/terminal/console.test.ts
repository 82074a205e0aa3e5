import assert from "node:assert/strict";
import { test } from "node:test";
import type { WriteStream } from "node:tty";
import { createConsole } from "./console.ts";

test("JSON from elsewhere cannot act on a terminal, and goes into a pipe as it is", () => {
  const evil = JSON.stringify({ message: "\u001b[2J\u009d52;c;cm0gLXJm\u009c\u0085" });
  for (const [isTTY, shown] of [
    [true, '{"message":"\\u001b[2J\ufffd52;c;cm0gLXJm\ufffd\ufffd"}\n'],
    [false, `${evil}\n`],
  ] as const) {
    const written: string[] = [];
    const stream = { isTTY, write: (text: string) => written.push(text) } as unknown as WriteStream;
    const console = createConsole(stream, stream, {});
    console.out(evil);
    console.note(evil);
    assert.deepEqual(written, [shown, shown]);
  }
});
