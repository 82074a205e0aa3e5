import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { makeControlFolder, readStarted, sayGo, wasClaimed, writeCancel } from "./control-folder.ts";
import { readRecord } from "./read-record.ts";
import { CTL, type ShimRecord } from "./shim.ts";
import { shimPath } from "./shim-path.ts";

const DEADLINE_MS = 20_000;

let ctl: string;
let children: ChildProcess[];

beforeEach(() => {
  ctl = mkdtempSync(join(tmpdir(), "berth-shim-"));
  children = [];
  makeControlFolder(ctl);
});

afterEach(() => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  rmSync(ctl, { recursive: true, force: true });
});

/** As PID 1 of a namespace of its own, as in a container, or as a plain process. */
type Place = "plain" | "init";
const NAMESPACE = ["--pid", "--fork", "--mount-proc", "--kill-child"];
const places: Place[] = ["plain"];
if (spawnSync("unshare", [...NAMESPACE, "true"]).status === 0) places.push("init");

interface Running {
  readonly child: ChildProcess;
  /** The shim's own pid, as seen from here, while it lives. */
  readonly pid: () => Promise<number>;
  readonly exit: Promise<number | NodeJS.Signals>;
}

function run(place: Place, argv: string[], env: Record<string, string> = {}): Running {
  const command = place === "plain" ? [] : ["unshare", ...NAMESPACE];
  const [file, ...args] = [...command, shimPath(), ctl, "--", ...argv];
  const child = spawn(file!, args, { stdio: "ignore", env: { PATH: process.env.PATH, ...env } });
  children.push(child);
  const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal!));
  });
  const pid = async () =>
    place === "plain" ? child.pid! : until("the shim in its namespace", () => onlyChildOf(child.pid!));
  return { child, pid, exit };
}

function onlyChildOf(pid: number): number | null {
  try {
    return Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"), 10) || null;
  } catch {
    return null;
  }
}

async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const seen = look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms for ${what}; control folder: ${listing()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function listing(): string {
  return execFileSync("find", [ctl, "-type", "f", "-printf", "%P "]).toString();
}

function log(stream: "stdout" | "stderr"): string {
  return readFileSync(join(ctl, CTL[stream]), "latin1");
}

async function recordOf(running: Running): Promise<ShimRecord> {
  await running.exit;
  const record = readRecord(ctl);
  assert.ok(record, `no record; control folder: ${listing()}`);
  return record;
}

/** Whether a process with this argument is alive: steps mark theirs with a number of their own. */
function isAlive(mark: string): boolean {
  return spawnSync("pgrep", ["-f", `sleep ${mark}`]).status === 0;
}

let marksMade = 0;
function newMark(): string {
  return `${100_000 + marksMade++}.${process.pid}`;
}

for (const place of places) {
  describe(`the shim as ${place === "init" ? "PID 1 of a namespace" : "a plain process"}`, () => {
    for (const code of [0, 1, 42, 255]) {
      test(`an exit with ${code} is in the record and is the shim's own`, async () => {
        sayGo(ctl);
        const running = run(place, ["sh", "-c", `exit ${code}`]);
        assert.equal(await running.exit, code);
        const { started, exit, signal, failed, cancel, stopped } = await recordOf(running);
        assert.deepEqual(
          { started, exit, signal, failed, cancel, stopped },
          { started: true, exit: code, signal: null, failed: null, cancel: null, stopped: false },
        );
      });
    }

    test("a step that kills itself is recorded with the signal", async () => {
      sayGo(ctl);
      const running = run(place, ["sh", "-c", "kill -9 $$"]);
      assert.equal(await running.exit, 137);
      const { started, exit, signal, cancel } = await recordOf(running);
      assert.deepEqual({ started, exit, signal, cancel }, { started: true, exit: null, signal: 9, cancel: null });
    });

    test("a command that does not exist never started, with the errno", async () => {
      sayGo(ctl);
      const record = await recordOf(run(place, ["no-such-command"]));
      assert.deepEqual([record.started, record.failed, record.errno, record.exit], [false, "exec", 2, null]);
      assert.equal(readStarted(ctl), null);
    });

    test("a file that is not executable never started, with the errno", async () => {
      sayGo(ctl);
      const record = await recordOf(run(place, [join(ctl, CTL.go)]));
      assert.deepEqual([record.started, record.failed, record.errno], [false, "exec", 13]);
    });

    test("a script without an interpreter line is not handed to a shell", async () => {
      sayGo(ctl);
      const script = join(ctl, "script");
      writeFileSync(script, "echo ran\n", { mode: 0o755 });
      const record = await recordOf(run(place, [script]));
      assert.deepEqual([record.started, record.failed, record.errno], [false, "exec", 8]);
    });

    test("a command is found by the PATH of the step's environment, past folders that lack it", async () => {
      sayGo(ctl);
      writeFileSync(join(ctl, "only-here"), "#!/bin/sh\necho found\n", { mode: 0o755 });
      const running = run(place, ["only-here"], { PATH: `/nowhere:/etc/hostname:${ctl}:/usr/bin` });
      assert.equal(await running.exit, 0);
      assert.equal(log("stdout"), "found\n");
    });

    test("arguments and log bytes are exact: quotes, newlines, NUL, carriage returns, no last newline", async () => {
      sayGo(ctl);
      const awkward = `'"$HOME\n\t\\ é *`;
      const running = run(place, ["sh", "-c", `printf '%s' "$1"; printf 'a\\0b\\rc' >&2`, "sh", awkward]);
      assert.equal(await running.exit, 0);
      assert.equal(log("stdout"), Buffer.from(awkward).toString("latin1"));
      assert.equal(log("stderr"), "a\0b\rc");
    });

    test("stdin is empty, and the step leads its own session", async () => {
      sayGo(ctl);
      const running = run(place, ["sh", "-c", "cat; cut -d' ' -f6 /proc/self/stat; echo $$"]);
      assert.equal(await running.exit, 0);
      const [session, pid] = log("stdout").trim().split("\n");
      assert.equal(session, pid);
    });

    test("user code is held back until the word to go, then runs", async () => {
      const running = run(place, ["sh", "-c", "echo ran"]);
      const pid = await running.pid();
      await until("a held shim", () => isWaiting(pid));
      assert.equal(wasClaimed(ctl), false);
      assert.equal(existsSync(join(ctl, CTL.stdout)), false);
      sayGo(ctl);
      assert.equal(await running.exit, 0);
      assert.equal(log("stdout"), "ran\n");
    });

    test("TERM while held: nothing starts, and the record says so", async () => {
      const running = run(place, ["sh", "-c", "echo ran"]);
      const pid = await running.pid();
      await until("a held shim", () => isWaiting(pid));
      process.kill(await running.pid(), "SIGTERM");
      const record = await recordOf(running);
      assert.deepEqual([record.started, record.signal, record.stopped, record.cancel], [false, 15, true, null]);
    });

    test("a cancel while held starts nothing, even with the word to go beside it", async () => {
      writeCancel(ctl, { graceMs: 1000, reason: "user" });
      sayGo(ctl);
      const record = await recordOf(run(place, ["sh", "-c", "echo ran"]));
      assert.deepEqual([record.started, record.cancel], [false, "user"]);
      assert.equal(existsSync(join(ctl, CTL.stdout)), false);
    });

    test("a second shim for the same attempt runs nothing and leaves the record alone", async () => {
      sayGo(ctl);
      const first = await recordOf(run(place, ["sh", "-c", "echo ran; exit 3"]));
      assert.equal(await run(place, ["sh", "-c", "echo again"]).exit, 125);
      assert.deepEqual(readRecord(ctl), first);
      assert.equal(log("stdout"), "ran\n");
    });

    test("two shims started at once for one attempt run user code once", async () => {
      const both = [run(place, ["sh", "-c", "echo ran"]), run(place, ["sh", "-c", "echo ran"])];
      sayGo(ctl);
      const codes = await Promise.all(both.map((running) => running.exit));
      assert.deepEqual(
        codes.sort((a, b) => Number(a) - Number(b)),
        [0, 125],
      );
      assert.equal(log("stdout"), "ran\n");
    });

    test("a cancel lets the TERM handler finish, and keeps its last line", async () => {
      sayGo(ctl);
      const script = `trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done`;
      const running = run(place, ["sh", "-c", script]);
      await until("the trap", () => readStarted(ctl) !== null && log("stdout") === "up\n");
      writeCancel(ctl, { graceMs: 60_000, reason: "deadline-run" });
      process.kill(await running.pid(), "SIGTERM");
      assert.equal(await running.exit, 5);
      assert.equal(log("stdout"), "up\nbye\n");
      assert.equal((await recordOf(running)).cancel, "deadline-run");
    });

    test("a cancel is found without any signal, and kills what ignores TERM when the grace is over", async () => {
      sayGo(ctl);
      const running = run(place, ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"]);
      await until("the trap", () => readStarted(ctl) !== null && log("stdout") === "up\n");
      writeCancel(ctl, { graceMs: 50, reason: "user" });
      assert.equal(await running.exit, 137);
      const record = await recordOf(running);
      assert.deepEqual([record.started, record.signal, record.cancel], [true, 9, "user"]);
    });

    test("a later, shorter grace counts, and the first reason stays", async () => {
      sayGo(ctl);
      const running = run(place, ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"]);
      await until("the trap", () => readStarted(ctl) !== null && log("stdout") === "up\n");
      writeCancel(ctl, { graceMs: 600_000, reason: "user" });
      process.kill(await running.pid(), "SIGTERM");
      writeCancel(ctl, { graceMs: 0, reason: "fenced" });
      assert.equal(await running.exit, 137);
      assert.equal((await recordOf(running)).cancel, "user");
    });

    test("TERM from outside reaches the step and is told apart from a cancel", async () => {
      sayGo(ctl);
      const running = run(place, ["sh", "-c", "echo up; exec sleep 1000"]);
      await until("the step", () => readStarted(ctl) !== null && log("stdout") === "up\n");
      process.kill(await running.pid(), "SIGTERM");
      const record = await recordOf(running);
      assert.deepEqual([record.signal, record.stopped, record.cancel], [15, true, null]);
    });

    test("USR1 is handed on", async () => {
      sayGo(ctl);
      const running = run(place, ["sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done"]);
      await until("the trap", () => readStarted(ctl) !== null && log("stdout") === "up\n");
      process.kill(await running.pid(), "SIGUSR1");
      assert.equal(await running.exit, 9);
    });

    test("a grandchild that holds stdout open does not delay the end, and is dead after it", async () => {
      sayGo(ctl);
      const mark = newMark();
      const running = run(place, ["sh", "-c", `(trap '' TERM HUP; sleep ${mark}) & echo done`]);
      assert.equal(await running.exit, 0);
      assert.equal(log("stdout"), "done\n");
      assert.equal(isAlive(mark), false);
    });

    test("descendants in sessions of their own, orphaned twice, are dead after the end", async () => {
      sayGo(ctl);
      const marks = [newMark(), newMark(), newMark()];
      const daemons = marks.map((mark) => `(setsid sh -c '(setsid sleep ${mark} &) ; sleep ${mark}' &)`).join("; ");
      const all = marks.map((mark) => `pgrep -f 'sleep ${mark}$' >/dev/null`).join(" && ");
      const running = run(place, ["sh", "-c", `${daemons}; until ${all}; do sleep 0.01; done; exit 4`]);
      assert.equal(await running.exit, 4);
      assert.deepEqual(marks.filter(isAlive), []);
    });

    test("orphans that end while the step runs are reaped", async () => {
      sayGo(ctl);
      const script = `(sleep 0.05 & echo $! >${ctl}/orphan); pid=$(cat ${ctl}/orphan); while [ -e /proc/$pid ]; do sleep 0.01; done`;
      assert.equal(await run(place, ["sh", "-c", `${script}; echo reaped`]).exit, 0);
      assert.equal(log("stdout"), "reaped\n");
    });

    test("the record counts what processes wrote that had to reach a disk, those that nobody waited for as well", async () => {
      sayGo(ctl);
      const write = `dd if=/dev/zero of=${ctl}/big bs=64k count=32 conv=fsync`;
      const record = await recordOf(
        run(place, [
          "sh",
          "-c",
          `(${write} 2>/dev/null; echo >${ctl}/done) & until [ -e ${ctl}/done ]; do sleep 0.01; done`,
        ]),
      );
      assert.ok(record.writtenBytes! >= 32 * 64 * 1024, `${record.writtenBytes} bytes`);
    });

    test("the record counts the CPU time of the step's processes", async () => {
      sayGo(ctl);
      const record = await recordOf(run(place, ["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]));
      assert.ok(record.cpuUs > 10_000, `${record.cpuUs} µs`);
      assert.ok(record.maxRssKib > 100, `${record.maxRssKib} KiB`);
      assert.ok(record.userUs! > 0 && record.systemUs! >= 0, `${record.userUs} and ${record.systemUs} µs`);
    });
  });
}

/** Whether this is a shim (no longer the one that forked it) and sleeps. */
function isWaiting(pid: number): boolean {
  try {
    return (
      /^State:\s+S/m.test(readFileSync(`/proc/${pid}/status`, "utf8")) &&
      readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("berth-shim")
    );
  } catch {
    return false;
  }
}

test("the shim outlives the death of whoever started it, and still writes the record", async () => {
  sayGo(ctl);
  const parent = spawn("sh", [
    "-c",
    `${shimPath()} ${ctl} -- sh -c 'echo up; until [ -e ${ctl}/end-now ]; do sleep 0.01; done' & wait`,
  ]);
  children.push(parent);
  await until("the step", () => readStarted(ctl) !== null && log("stdout") === "up\n");
  parent.kill("SIGKILL");
  await new Promise((resolve) => parent.once("exit", resolve));
  writeFileSync(join(ctl, "end-now"), "");
  const record = await until("the record", () => readRecord(ctl));
  assert.equal(record.exit, 0);
});

test("without a control folder the shim says why and runs nothing", () => {
  const { status, stderr } = spawnSync(shimPath(), [join(ctl, "nowhere"), "--", "true"]);
  assert.equal(status, 125);
  assert.match(stderr.toString(), /cannot open the control folder/);
});

test("--pause does nothing until TERM", async () => {
  const child = spawn(shimPath(), ["--pause"], { stdio: "ignore" });
  children.push(child);
  await until("the pausing shim", () => isWaiting(child.pid!));
  child.kill("SIGTERM");
  const code = await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(code, 0);
});
