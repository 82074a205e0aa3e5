import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BuildLog } from "./build-log.ts";
import { KnownSecrets } from "./known-secrets.ts";

const SHOWN_AT = { stepRun: "greet", attempt: 1 };

test("what stands at the beginning is there once, however often the agent was restarted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-build-log-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (let boot = 0; boot < 2; boot++) {
    const log = new BuildLog(join(folder, "build", "main.log"), SHOWN_AT, new KnownSecrets());
    assert.equal((await log.read(0, 100)).toString(), boot === 0 ? "" : "image is not used\n");
    log.beginWith(["image is not used"]);
    assert.equal((await log.read(0, 100)).toString(), "image is not used\n");
  }
});

test("a secret that a build prints is not in its file, however it is cut", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-build-log-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "build", "main.log");
  const secrets = new KnownSecrets();
  const log = new BuildLog(file, SHOWN_AT, secrets);
  log.append(Buffer.from("Step 1\n"));
  secrets.add([Buffer.from("hunter2-token")]);
  for (const byte of Buffer.from("--index https://me:hunter2-token@pypi.test/\nhunter2-to"))
    log.append(Buffer.of(byte));
  assert.ok(!readFileSync(file, "utf8").includes("hunter2-"));
  log.end();
  assert.equal(readFileSync(file, "utf8"), "Step 1\n--index https://me:*************@pypi.test/\n**********");
});
