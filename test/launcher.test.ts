import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

/** The launcher in a checkout of its own, with an npm that only notes its calls. */

let folder: string;
let checkout: string;
let programs: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-launcher-"));
  checkout = join(folder, "check out");
  programs = join(folder, "programs");
  mkdirSync(join(checkout, "src"), { recursive: true });
  mkdirSync(programs);
  copyFileSync(resolve(import.meta.dirname, "../berth"), join(checkout, "berth"));
  writeFileSync(join(checkout, "package-lock.json"), "{}");
  writeFileSync(join(checkout, "src/main.ts"), "console.log(JSON.stringify(process.argv.slice(2)));");
  symlinkSync(process.execPath, join(programs, "node"));
  writeProgram(
    "npm",
    `echo "$@" >> "${folder}/npm-calls"; rm -rf node_modules; mkdir -p node_modules/.bin; ln -s "${process.execPath}" node_modules/.bin/node`,
  );
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writeProgram(name: string, script: string): void {
  rmSync(join(programs, name), { force: true });
  writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(programs, name), 0o755);
}

function start(args: readonly string[], path = programs, program = join(checkout, "berth")) {
  const child = spawn(program, args, { env: { PATH: `${path}:/usr/bin:/bin` }, stdio: ["ignore", "pipe", "pipe"] });
  const result = { stdout: "", stderr: "", code: null as number | null, signal: null as string | null };
  child.stdout.on("data", (chunk) => {
    result.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    result.stderr += chunk;
  });
  const ended = once(child, "close").then(([code, signal]) => Object.assign(result, { code, signal }));
  return { child, ended };
}

function npmCalls(): string[] {
  return readFileSync(join(folder, "npm-calls"), "utf8").trim().split("\n");
}

test("the first start says what it installs, installs, and hands every argument on", async () => {
  const { code, stdout, stderr } = await start(["run", "a file", "--param", "x=*"]).ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), ["run", "a file", "--param", "x=*"]);
  assert.match(stderr, /^First start: installing/);
  assert.match(npmCalls()[0]!, /^ci /);
});

test("a later start installs nothing, until the lock file changes", async () => {
  await start([]).ended;
  assert.equal((await start([]).ended).stderr, "");
  assert.equal(npmCalls().length, 1);
  writeFileSync(join(checkout, "package-lock.json"), '{"changed":true}');
  await start([]).ended;
  assert.equal(npmCalls().length, 2);
});

test("several first starts at once install once", async () => {
  const results = await Promise.all([start([]).ended, start([]).ended, start([]).ended]);
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0],
  );
  assert.equal(npmCalls().length, 1);
});

test("an installation that was killed does not block the next start", async () => {
  mkdirSync(join(checkout, ".berth/installing"), { recursive: true });
  const gone = spawn("true");
  await once(gone, "close");
  writeFileSync(join(checkout, ".berth/installing/pid"), `${gone.pid}\n`);
  assert.equal((await start([]).ended).code, 0);
});

test("--no-install refuses to install, wherever it stands, and says how to do it", async () => {
  const { code, stderr } = await start(["demo", "--no-install"]).ended;
  assert.equal(code, 3);
  assert.match(stderr, /--no-install was given.*npm ci/s);
});

test("--no-install after -- belongs to somebody else", async () => {
  assert.equal((await start(["run", "--", "--no-install"]).ended).code, 0);
});

test("a failing npm ci is shown, and the next start tries again", async () => {
  writeProgram("npm", "echo 'registry says no' >&2; exit 1");
  const failed = await start([]).ended;
  assert.equal(failed.code, 3);
  assert.match(failed.stderr, /registry says no/);
  assert.equal((await start([]).ended).code, 3);
});

test("a Node that is too old is named, with what is needed", async () => {
  writeProgram("node", "echo 18");
  const { code, stderr } = await start([]).ended;
  assert.equal(code, 3);
  assert.match(stderr, /Node\.js 20 or newer is needed; .* is version 18/);
});

test("a pinned Node that does not run here gives way to the system's own, if that is new enough", async () => {
  writeProgram(
    "npm",
    "rm -rf node_modules; mkdir -p node_modules/.bin; printf '#!/bin/sh\\nexit 1\\n' > node_modules/.bin/node; chmod +x node_modules/.bin/node",
  );
  assert.equal((await start([]).ended).code, 0);
  writeProgram("node", "echo 22");
  rmSync(join(checkout, "node_modules"), { recursive: true });
  const { code, stderr } = await start([]).ended;
  assert.equal(code, 3);
  assert.match(stderr, /its own Node\.js 24 or newer/);
});

test("it is found through links to links", async () => {
  symlinkSync(join(checkout, "berth"), join(folder, "one"));
  symlinkSync("one", join(folder, "two"));
  const { code, stderr } = await start([], programs, join(folder, "two")).ended;
  assert.equal(code, 0, stderr);
});

test("exit codes and signals are those of the program", async () => {
  await start([]).ended;
  writeFileSync(join(checkout, "src/main.ts"), "process.exit(17);");
  assert.equal((await start([]).ended).code, 17);
  writeFileSync(
    join(checkout, "src/main.ts"),
    'process.on("SIGTERM", () => process.exit(5)); setInterval(() => {}, 1000); console.log("up");',
  );
  const running = start([]);
  await once(running.child.stdout, "data");
  running.child.kill("SIGTERM");
  assert.equal((await running.ended).code, 5);
});
