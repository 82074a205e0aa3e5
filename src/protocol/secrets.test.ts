import assert from "node:assert/strict";
import { test } from "node:test";
import { SECRET_VALUE_MAX_BYTES, SecretName, SetSecretRequest } from "./secrets.ts";

test("a secret's value is 1 byte to 64 KiB of any bytes, in base64", () => {
  const accepts = (bytes: Buffer) => SetSecretRequest.safeParse({ name: "A", value: bytes.toString("base64") }).success;
  assert.ok(accepts(Buffer.from([0])));
  assert.ok(accepts(Buffer.alloc(SECRET_VALUE_MAX_BYTES, 255)));
  assert.ok(!accepts(Buffer.alloc(SECRET_VALUE_MAX_BYTES + 1)));
  assert.ok(!accepts(Buffer.alloc(0)));
  assert.ok(!SetSecretRequest.safeParse({ name: "A", value: "not base64!" }).success);
});

test("a secret's name can be a file and an environment variable", () => {
  for (const name of ["A", "_a", "REPORT_TOKEN_2", "x".repeat(128)])
    assert.ok(SecretName.safeParse(name).success, name);
  for (const name of ["", "2A", "A-B", "A.B", "../x", "a b", "é", "x".repeat(129), "A\n"]) {
    assert.ok(!SecretName.safeParse(name).success, JSON.stringify(name));
  }
});
