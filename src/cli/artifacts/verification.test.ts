import assert from "node:assert/strict";
import { test } from "node:test";
import { createStyle } from "../terminal/style.ts";
import { verificationLines, verifyProvenance } from "./verification.ts";

test("what is wrong with an envelope from elsewhere is told in words that cannot act on a terminal", async () => {
  const envelope = {
    ...{ payloadType: "application/vnd.in-toto+json", payload: "e30=", "\u001b[2Jall is\u009b1m well": 1 },
    signatures: [{ keyid: "0".repeat(64), sig: "e30=" }],
  };
  const verification = await verifyProvenance({
    ...{ reference: { pipeline: "p", step: "s", name: "a", version: 1 }, item: "", envelope, publicKeys: [] },
    checkBytes: () => assert.fail("nothing is looked at"),
  });
  const lines = verificationLines({ ...verification, keySource: "file" }, createStyle(false));
  assert.match(lines[0]!, /^✗ signature .*all is/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what this is for.
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/);
});
