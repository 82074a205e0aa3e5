import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { demultiplex } from "./demultiplex.ts";

function piece(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

test("the two streams are told apart, wherever the connection cuts them", async () => {
  const sent = Buffer.concat([piece(1, "one "), piece(2, "error"), piece(1, ""), piece(1, "two\n"), piece(2, "!")]);
  for (let size = 1; size <= sent.length; size++) {
    const chunks = Array.from({ length: Math.ceil(sent.length / size) }, (_, index) =>
      sent.subarray(index * size, (index + 1) * size),
    );
    const told = { stdout: "", stderr: "" };
    const side = (name: "stdout" | "stderr") => ({
      write: (bytes: Uint8Array) => {
        told[name] += Buffer.from(bytes).toString();
        return true;
      },
    });
    await demultiplex(Readable.from(chunks), { stdout: side("stdout"), stderr: side("stderr") });
    assert.deepEqual(told, { stdout: "one two\n", stderr: "error!" }, `in chunks of ${size}`);
  }
});
