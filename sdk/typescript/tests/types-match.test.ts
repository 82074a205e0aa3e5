import assert from "node:assert/strict";
import { test } from "node:test";
import * as code from "../src/index.js";
import type * as types from "../types/index.d.ts";

/** What the types say of these is for their users: nothing of it is there at run time. */
type Describing = "each" | "gather" | "matrix" | "param" | "pipeline" | "step";
/** Checked by tsc: what the code exports is what the types say, name by name. */
const exported: Pick<typeof types, Exclude<keyof typeof types, Describing>> & Record<Describing, unknown> = code;
type Untyped = Exclude<keyof typeof code, keyof typeof types>;
const untyped: Untyped[] = [];

test("everything that is exported has its types, and everything typed is there", () => {
  assert.deepEqual(untyped, []);
  for (const value of Object.values(exported)) assert.notEqual(value, undefined);
});
