import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

/** The whole platform as users start it: real server, PostgreSQL and agent, steps as plain processes. */

const main = resolve(import.meta.dirname, "../../main.ts");
const DEADLINE_MS = 90_000;

let folder: string;
let home: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-platform-"));
  home = join(folder, "home");
});
after(async () => {
  const { code } = await berth("down").ended;
  rmSync(folder, { recursive: true, force: true });
  assert.equal(code, 0);
});

interface Started {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function berth(...args: string[]): Started {
  // Port 0: beside whatever else runs on this machine.
  const env = { PATH: process.env.PATH, HOME: folder, BERTH_HOME: home, BERTH_LISTEN: "127.0.0.1:0" };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  return { child, output, ended: once(child, "close").then(([code]) => ({ code, ...output })) };
}

async function until(what: string, condition: () => boolean, state: () => string = () => ""): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`still not: ${what}\n${state()}`);
    await sleep(20);
  }
}

function pipelineFile(name: string, script: string): string {
  const file = join(folder, `${name}.yaml`);
  const steps = { work: { run: script, outputs: { out: "out.txt" } } };
  writeFileSync(file, JSON.stringify({ name, environment: { image: "none" }, steps }));
  return file;
}

/** A step that goes on until the file `go` is there, and then writes its output. */
function waitingPipeline(name: string): { readonly file: string; readonly go: string } {
  const go = join(folder, `go-${name}`);
  const script = `echo begun; while [ ! -e ${go} ]; do sleep 0.1; done; echo went on; echo done > "$BERTH_OUT/out.txt"`;
  return { file: pipelineFile(name, script), go };
}

function json(file: string) {
  return JSON.parse(readFileSync(join(home, file), "utf8"));
}

function supervisorPid(): number {
  return json("up.json").pid;
}

/** Process ids of the supervisor's children whose command line holds `word`. */
function childPid(word: string): number {
  const parent = supervisorPid();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const isChild = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
      if (isChild && readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0").includes(word)) return Number(entry);
    } catch {
      // It ended while it was looked at.
    }
  }
  return 0;
}

function postgresPid(): number {
  return Number(readFileSync(join(home, "postgres/data/postmaster.pid"), "utf8").split("\n")[0]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isUp(): boolean {
  return existsSync(join(home, "server.json")) && childPid("agent") > 0;
}

test("a command without a server starts the platform, says so, and `down` stops all of it", async () => {
  const first = await berth("runs").ended;
  assert.equal(first.code, 0, first.stderr);
  assert.match(
    first.stderr,
    /Starting Berth in the background .*\n.*ends by itself after 15 idle minutes, unless schedules or triggers are active;\n/,
  );
  await until("the agent is up", isUp);
  const pids = [supervisorPid(), childPid("server"), childPid("agent"), postgresPid()];
  assert.equal((await berth("runs").ended).stderr.includes("Starting"), false);
  assert.equal((await berth("down").ended).code, 0);
  assert.deepEqual(pids.filter(isAlive), []);
});

function startCount(): number {
  return readFileSync(join(home, "logs/up.log"), "utf8").match(/ up at http/g)!.length;
}

test("several commands at once start one platform and all find it", async () => {
  const startsBefore = startCount();
  const results = await Promise.all([berth("runs").ended, berth("workers").ended, berth("token", "ls").ended]);
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0],
    JSON.stringify(results),
  );
  assert.equal(startCount(), startsBefore + 1);
});

test("`up` says when it is ready, and Ctrl-C stops it in order", async () => {
  assert.equal((await berth("down").ended).code, 0);
  const up = berth("up");
  await until(
    "it is up",
    () => up.output.stdout.includes("Berth is up"),
    () => up.output.stderr,
  );
  const second = await berth("up").ended;
  assert.equal(second.code, 3);
  assert.match(second.stderr, /Berth is already up .* as process \d+.\n.*berth down/);
  const pids = [childPid("server"), childPid("agent"), postgresPid()];
  up.child.kill("SIGINT");
  const { code, stderr } = await up.ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(pids.filter(isAlive), []);
});

for (const [what, pidOf] of Object.entries({
  agent: () => childPid("agent"),
  server: () => childPid("server"),
  PostgreSQL: postgresPid,
  supervisor: supervisorPid,
})) {
  test(`kill -9 of the ${what} in the middle of a run: it comes back, and the run ends well`, async () => {
    const { file, go } = waitingPipeline(`kill-${what}`);
    const run = berth("run", file, "--backend", "process");
    await until(
      "the step runs",
      () => run.output.stdout.includes("work | begun"),
      () => JSON.stringify(run.output),
    );
    const pid = pidOf();
    process.kill(pid, "SIGKILL");
    await until("it is gone", () => !isAlive(pid));
    writeFileSync(go, "");
    const { code, stdout, stderr } = await run.ended;
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    assert.equal(stdout.match(/work \| begun/g)!.length, 1, "log lines are shown once");
    assert.match(stdout, /work \| went on/);
    assert.match(stdout, /work\/out\/1 +5 B/);
  });
}

test("Ctrl-C cancels the run, waits for it and exits with 130", async () => {
  const { file } = waitingPipeline("interrupted");
  const run = berth("run", file, "--backend", "process");
  await until(
    "the step runs",
    () => run.output.stdout.includes("work | begun"),
    () => JSON.stringify(run.output),
  );
  run.child.kill("SIGINT");
  const { code, stdout } = await run.ended;
  assert.equal(code, 130);
  assert.match(stdout, /interrupted#1 cancelled/);
});

test("a second Ctrl-C leaves at once, and the run is cancelled all the same", async () => {
  const file = pipelineFile("stubborn", 'trap "" TERM; echo begun; while true; do sleep 0.1; done');
  const run = berth("run", file, "--backend", "process");
  await until(
    "the step runs",
    () => run.output.stdout.includes("work | begun"),
    () => JSON.stringify(run.output),
  );
  run.child.kill("SIGINT");
  await until("the cancel was asked for", () => run.output.stdout.includes("cancel asked for"));
  run.child.kill("SIGINT");
  const { code, stderr } = await run.ended;
  assert.equal(code, 130);
  assert.match(stderr, /stubborn#1 is being cancelled; see: berth run show stubborn#1/);
  let state = "";
  while (state !== "cancelled") state = JSON.parse((await berth("runs", "--json").ended).stdout)[0].state;
});

test("a run that fails is exit code 1, with the fault, its advice and the end of the log", async () => {
  const file = pipelineFile("failing", "echo about to fail; exit 7");
  const { code, stdout } = await berth("run", "--quiet", file, "--backend", "process").ended;
  assert.equal(code, 1);
  assert.match(stdout, /✗ work: .*7.*exit-nonzero/);
  assert.match(stdout, /Last lines of work:\n( {2}.*\n)? {2}about to fail/);
});

test("--json gives the whole outcome on stdout, and artifacts come back byte by byte", async () => {
  const file = pipelineFile("outcome", 'printf "exactly this" > "$BERTH_OUT/out.txt"');
  const { code, stdout } = await berth("run", "--json", file, "--backend", "process").ended;
  assert.equal(code, 0);
  const { run, steps, artifacts } = JSON.parse(stdout);
  assert.deepEqual([run.state, steps.length, artifacts[0].size], ["succeeded", 1, 12]);

  const target = join(home, "results");
  const get = await berth("artifacts", "get", "outcome/work/out", "-o", target).ended;
  assert.equal(get.code, 0, get.stderr);
  assert.equal(readFileSync(join(target, "out.txt"), "utf8"), "exactly this");
  const again = await berth("artifacts", "get", "outcome/work/out", "-o", target).ended;
  assert.equal(again.code, 2);
  assert.match(again.stderr, /exists already.*\n.*--force/);
  assert.equal((await berth("artifacts", "get", "outcome/work/out/1", "-o", target, "--force").ended).code, 0);
  assert.deepEqual(readdirSync(target), ["out.txt"]);
});

test("`down` stops Berth under a command that follows a run, which is told so and does not start it again", async () => {
  const { file, go } = waitingPipeline("followed");
  const run = berth("run", file, "--backend", "process");
  await until("the step runs", () => run.output.stdout.includes("work | begun"));
  const down = await berth("down").ended;
  assert.equal(down.code, 0, down.stderr);
  const { code, stderr } = await run.ended;
  assert.equal(code, 3, stderr);
  assert.match(stderr, /Berth was stopped while this command used it/);
  assert.match((await berth("down").ended).stderr, /is not up/);
  writeFileSync(go, "");
  let state = "";
  while (state !== "succeeded") state = JSON.parse((await berth("runs", "--json").ended).stdout)[0].state;
});

test("the worker that comes with the platform cannot be removed: nothing would run any more", async () => {
  const { code, stderr } = await berth("workers", "remove", "local", "--force").ended;
  assert.equal(code, 2);
  assert.match(stderr, /comes and goes with it.*\n.*workers drain local/);
  assert.match((await berth("workers").ended).stdout, /^local /m);
});
