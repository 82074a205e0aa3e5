import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { stopAbandoned } from "./left-behind.ts";

test("parts of a killed chaos run are ended by the next one although they are stopped; those of others are not", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "berth-left-behind-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const [killed, living, own] = ["killed", "living", "own"].map((name) => join(root, name)) as [string, string, string];
  const parts = [killed, living].map((folder) => {
    mkdirSync(join(folder, "server-0"), { recursive: true });
    const part = spawn("sleep", ["60"], { env: { ...process.env, BERTH_HOME: join(folder, "server-0") } });
    t.after(() => part.kill("SIGKILL"));
    return part;
  });
  await Promise.all(parts.map((part) => once(part, "spawn")));
  parts[0]!.kill("SIGSTOP");
  mkdirSync(own);
  // No process has this number: it is above the highest that there can be.
  writeFileSync(join(killed, "chaos-owner"), String(2 ** 22 + 1));
  const ended = once(parts[0]!, "exit");
  assert.deepEqual(await stopAbandoned(own), [killed]);
  assert.deepEqual(await ended, [null, "SIGKILL"]);
  assert.equal(parts[1]!.exitCode ?? parts[1]!.signalCode, null);
});
