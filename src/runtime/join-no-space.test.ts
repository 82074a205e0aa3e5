import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fault } from "../protocol/faults.ts";
import { joinNoSpace } from "./join-no-space.ts";
import { outcomeWithout } from "./join-outcome.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-no-space-"));
  mkdirSync(join(folder, "ctl"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const failed = (message = "The step exited with code 1.") => outcomeWithout("failed", fault("exit-nonzero", message));

test("a step that gave up because nothing more could be written is disk-full, with its own words as evidence", () => {
  const log = `${"x".repeat(20_000)}\nsh: write error: No space left on device\ngiving up\n`;
  writeFileSync(join(folder, "ctl/stderr"), log);
  const { fault: why } = joinNoSpace(failed(), folder);
  assert.deepEqual(
    [why?.code, why?.class, why?.evidence],
    ["disk-full", "application", "sh: write error: No space left on device"],
  );
  assert.match(why!.message, /no space left.*exited with code 1/);
});

test("what an SDK says of it in error.json counts as well, whatever is in the log", () => {
  const outcome = joinNoSpace(failed("OSError: [Errno 28] No space left on device: '/berth/out/x'"), folder);
  assert.equal(outcome.fault?.code, "disk-full");
});

test("a step that met a full disk early and failed for another reason long after is not disk-full", () => {
  writeFileSync(join(folder, "ctl/stderr"), `No space left on device\n${"x".repeat(20_000)}`);
  assert.equal(joinNoSpace(failed(), folder).fault?.code, "exit-nonzero");
});

test("an outcome that is told by evidence of the platform stays, as does one without a log or with a link for one", () => {
  writeFileSync(join(folder, "ctl/stdout"), "ENOSPC: no space left on device\n");
  symlinkSync("stdout", join(folder, "ctl/stderr"));
  assert.equal(joinNoSpace(failed(), folder).fault?.code, "disk-full");
  const oom = outcomeWithout("failed", fault("oom", "killed"));
  assert.equal(joinNoSpace(oom, folder), oom);
  rmSync(join(folder, "ctl/stdout"));
  assert.equal(joinNoSpace(failed(), folder).fault?.code, "exit-nonzero");
});
