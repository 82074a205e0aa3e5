import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { ScenarioPlatform, until } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());
const run = promisify(execFile);

/** The commands by which the documentation signs a message. */
const PAGE = readFileSync(resolve(import.meta.dirname, "../../docs/schedules-and-triggers.md"), "utf8");
const SIGNING = /```sh\n(body=.*?)```/s.exec(PAGE)![1]!;

async function sign(env: Readonly<Record<string, string>>, script = SIGNING) {
  const { stdout } = await run("sh", ["-euc", script], { env: { PATH: process.env.PATH!, ...env } });
  return JSON.parse(stdout);
}

/** As a shell would read what the commands print. */
function kept(stdout: string): { HOOK: string; SECRET: string } {
  const [, HOOK, SECRET] = /^HOOK=(http:\S+\/hooks\/trg_\S+)\nSECRET=(whsec_\S+)\n$/.exec(stdout)!;
  return { HOOK: HOOK!, SECRET: SECRET! };
}

test("a message that is signed as the documentation says, with openssl and curl alone, starts a run", async () => {
  const ledger = join(platform.folder, "ledger");
  const file = platform.write("deploy.yaml", {
    name: "deploy",
    environment: { image: "none" },
    worker: { backend: "process" },
    params: { ref: { type: "string" } },
    steps: { say: { run: `echo "\${{ params.ref }}" >> ${ledger}` } },
  });
  const bad = await platform.berth("triggers", "create", "push", file, "--map", "rev=body.ref");
  assert.equal(bad.code, 2, bad.stderr);
  assert.match(bad.stderr, /params\.rev: the pipeline has no parameter "rev", did you mean "ref"\?/);
  const created = await platform.berth("triggers", "create", "push", file, "--map", "ref=body.ref");
  assert.equal(created.code, 0, created.stderr);
  const { HOOK, SECRET } = kept(created.stdout);

  const answer = await sign({ HOOK, SECRET });
  assert.deepEqual([answer.outcome, answer.repeated, answer.run.number], ["started", false, 1]);
  await until("the run has come to its end", () => {
    try {
      return readFileSync(ledger, "utf8") === "refs/heads/main\n";
    } catch {
      return false;
    }
  });
  const forged = await sign({ HOOK, SECRET: `whsec_${Buffer.alloc(32).toString("base64")}` });
  assert.equal(forged.error.code, "unauthenticated");
  const twice = SIGNING.replace(/^id=.*$/m, "id=msg_1");
  const [first, second] = [await sign({ HOOK, SECRET }, twice), await sign({ HOOK, SECRET }, twice)];
  assert.deepEqual([second.repeated, second.run.id], [true, first.run.id]);

  assert.match((await platform.berth("triggers")).stdout, /push +active +deploy version 1 +just now +deploy#2/);
  assert.match((await platform.berth("triggers", "show", "push")).stdout, /msg_1 +deploy#2/);
  const shown = (await platform.berth("run", "show", "deploy#2")).stdout;
  assert.match(shown, /started by trigger push, message msg_1, at /);
  const rotated = await platform.berth("triggers", "rotate", "push", "--now");
  assert.equal((await sign({ HOOK, SECRET })).error.code, "unauthenticated");
  assert.equal((await sign({ HOOK, SECRET: kept(rotated.stdout).SECRET })).outcome, "started");
  assert.equal((await platform.berth("triggers", "pause", "push")).code, 0);
  assert.equal((await sign({ HOOK, SECRET: kept(rotated.stdout).SECRET })).error.code, "conflict");
  assert.match((await platform.berth("triggers", "resume", "push")).stdout, /is active/);
  const update = (...args: string[]) => platform.berth("triggers", "update", "push", file, ...args);
  assert.match(
    (await update("--when", 'body.ref != "x"')).stdout,
    /version 1, .*:\n {2}ref +body\.ref\n {2}when +body\.ref != "x"\n/,
  );
  assert.match((await update()).stdout, /ref +body\.ref\n {2}when /, "what is not named stays");
  assert.match((await update("--no-when")).stdout, /ref +body\.ref\n$/);
  const unmapped = await update("--unmap", "rev");
  assert.deepEqual([unmapped.code, /maps no parameter "rev", did you mean "ref"/.test(unmapped.stderr)], [2, true]);
  assert.match((await update("--unmap", "ref")).stderr, /params\.ref: has no default/);
  assert.equal((await platform.berth("triggers", "remove", "push")).code, 0);
  assert.equal((await sign({ HOOK, SECRET })).error.code, "unauthenticated");
  await until("its runs have ended", () => readFileSync(ledger, "utf8").split("\n").length === 4);
  await platform.tidy();
});
