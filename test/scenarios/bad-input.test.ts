import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureDocker, type TestDocker, testImage } from "../setup/docker.ts";
import { type Ended, ScenarioPlatform, until } from "./platform.ts";

/** What a new user gets wrong, and what Berth says then: a clear error, the right exit code, nothing left behind. */

const platform = new ScenarioPlatform();
let docker: TestDocker;
before(async () => {
  docker = await ensureDocker();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

const HEAD = "name: p\nenvironment: { image: none }\n";
const steps = (text: string) => `${HEAD}steps:\n${text}\n`;

const INVALID: readonly (readonly [what: string, file: string, says: RegExp])[] = [
  ["an unknown key", steps("  a: { run: x, ouputs: { x: x } }"), /p\.yaml:4:16 steps\.a: .*did you mean "outputs"\?/],
  [
    "a wrong type",
    steps("  a: { run: x, needs: 3 }"),
    /p\.yaml:4:23 steps\.a\.needs: expected a list, found the number/,
  ],
  ["a cycle", steps("  a: { run: x, needs: [b] }\n  b: { run: x, needs: [a] }"), /cycle: a → b → a/],
  [
    "a missing step",
    steps("  first: { run: x }\n  b: { run: x, needs: [frist] }"),
    /there is no step "frist", did you/,
  ],
  [
    "a missing input",
    steps("  a: { run: x }\n  b: { run: x, inputs: { m: a.x } }"),
    /steps\.b\.inputs\.m: .*has no output/,
  ],
  [
    "duplicate names",
    steps("  a: { run: x }\n  a: { run: y }"),
    /p\.yaml:5:3 steps: duplicate key "a", first on line 4/,
  ],
  ["a name with ../", steps('  "../a": { run: x }'), /"\.\.\/a": a name starts with a letter/],
  ["a name with control characters", steps('  "a\\e[31m": { run: x }'), /"a\\u\{1b\}\[31m" holds a control character/],
  ["a name of 1,000 characters", steps(`  ${"x".repeat(1000)}: { run: x }`), /"x{60}…": .*at most 63 letters/],
  ["an output outside its folder", steps("  a: { run: x, outputs: { o: ../../etc/passwd } }"), /must be a path inside/],
  ["an alias bomb", aliasBomb(), /more than 250000 values once its aliases are followed/],
  ["a file of 50 MB", "#".repeat(50_000_000), /p\.yaml has 50000000 bytes; a pipeline file has at most 1048576/],
  [
    "a missing requirements file",
    `name: p
environment: { base: debian, python: { requirements: none.txt } }
steps: { a: { run: x } }`,
    /p\.yaml:2:54 environment\.python\.requirements: there is no file "none\.txt"/,
  ],
];

function aliasBomb(): string {
  const level = (name: string, of: string) => `${name}: &${name} [${Array(9).fill(of).join(", ")}]\n`;
  return (
    level("a", "x") +
    "bcdefgh"
      .split("")
      .map((name, at) => level(name, `*${"abcdefgh"[at]}`))
      .join("")
  );
}

for (const [what, file, says] of INVALID) {
  test(`${what} is refused before anything is started`, async () => {
    const { code, stdout, stderr } = await platform.berth("run", platform.write("p.yaml", file));
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, "");
    assert.ok(!existsSync(join(platform.home, "server.json")), "no platform was started");
  });
}

test("parameters that do not fit are refused, all at once", async () => {
  const file = platform.write("p.yaml", `${HEAD}params: { seed: { type: integer } }\nsteps: { a: { run: x } }`);
  const { code, stderr } = await platform.berth("run", file, "--param", "seed=many", "--param", "sed=3");
  assert.equal(code, 2);
  assert.match(stderr, /params\.sed: the pipeline has no parameter "sed", did you mean "seed"\?/);
  assert.match((await platform.berth("run", file, "--param", "seed=many")).stderr, /params\.seed: .*not "many"/);
});

test("a port in use is named, and what was started for nothing is gone again", async () => {
  await using holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address() as { port: number };
  const { code, stderr } = await platform.start(["up"], { BERTH_LISTEN: `127.0.0.1:${port}` }).ended;
  assert.equal(code, 3);
  assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: it is in use.*\\n.*BERTH_LISTEN`));
  await until("all of it has ended", () => platform.processes().length === 0);
});

/** Runs a step and expects it to fail; says what the user reads. */
async function failing(step: object, environment: object = { image: "none" }): Promise<Ended> {
  const file = platform.write("p.yaml", { name: "p", environment, steps: { a: step } });
  const backend = "base" in environment ? "docker" : "process";
  const ended = await platform.berth("run", file, "--backend", backend);
  assert.equal(ended.code, 1, ended.stderr);
  await platform.tidy();
  return ended;
}

test("a second server in the same home is refused, and the first goes on", async () => {
  assert.equal((await platform.berth("runs")).code, 0);
  for (const command of ["up", "server"]) {
    const { code, stderr } = await platform.berth(command);
    assert.equal(code, 3);
    assert.match(stderr, /is already up in|Another server uses/);
  }
  assert.equal((await platform.berth("runs")).code, 0);
});

test("a command that does not exist fails its step", async () => {
  const { stdout } = await failing({ command: ["/no/such/program"] });
  assert.match(stdout, /✗ a: The command "\/no\/such\/program" does not exist.* \(bad-entrypoint, blame: pipeline\)/);
});

test("a Python function that does not exist fails its step", async () => {
  assert.match((await failing({ python: "nowhere:main" })).stdout, /✗ a: there is no module 'nowhere'/);
});

test("an output that was not written fails its step", async () => {
  const { stdout } = await failing({ run: "true", outputs: { model: "model.bin" } });
  assert.match(stdout, /✗ a: Output model: nothing was written to out\/model\.bin\. \(output-missing, blame: step\)/);
});

test("an output that is a link out of its folder fails its step, and nothing of its target is stored", async () => {
  const { stdout } = await failing({ run: "ln -s /etc/passwd $BERTH_OUT/o", outputs: { o: "o" } });
  assert.match(stdout, /✗ a: Output o: out\/o is, or lies behind, a symbolic link\. \(output-unsafe, blame: step\)/);
  assert.deepEqual(JSON.parse((await platform.berth("artifacts", "ls", "--json")).stdout), []);
});

test("requirements that cannot be installed fail the run with the line that failed", async () => {
  platform.write("requirements.txt", "no-such-package-of-berth==99.1\n");
  // An image without Python, so that it fails without asking any index.
  const environment = { base: await testImage(), python: { requirements: "requirements.txt" } };
  const { stdout } = await failing({ run: "true" }, environment);
  assert.match(
    stdout,
    /✗ a: The image could not be built: the base image has no python3; it failed at: RUN .*pip install.* \(image-build-failed, blame: pipeline\)/,
  );
});

test("a wrong, an expired and a missing token are 401 and exit code 2", async () => {
  const { url } = platform.endpoint();
  const expiring = await platform.berth("token", "create", "--name", "brief", "--role", "viewer", "--expires", "1s");
  const expired = expiring.stdout.trim();
  const status = async (token: string) =>
    (await fetch(`${url}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } })).status;
  let last = 0;
  while (last !== 401) last = await status(expired);
  for (const token of [expired, "nonsense"]) {
    const { code, stderr } = await platform.berth("runs", "--server", url, "--token", token);
    assert.equal(code, 2);
    assert.match(stderr, /The API token is not valid: unknown, expired or revoked\.\n.*berth token create/);
  }
  assert.equal((await fetch(`${url}/api/v1/runs`)).status, 401);
});

test("a body that is not JSON, or not what is asked for, is 4xx and says why", async () => {
  const { url, token } = platform.endpoint();
  const post = async (body: string) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(`${url}/api/v1/runs`, { method: "POST", headers, body });
    const { error } = (await answer.json()) as { error: { code: string } };
    return [answer.status, error.code];
  };
  assert.deepEqual(await post("{nope"), [400, "invalid_body"]);
  assert.deepEqual(await post("[]"), [400, "invalid_request"]);
  assert.deepEqual(await post(JSON.stringify({ pipeline: aliasBomb() })), [422, "invalid_pipeline"]);
  assert.deepEqual(await post(JSON.stringify({ pipeline: "x".repeat(50_000_000) })), [413, "payload_too_large"]);
});

/** A run of a step that goes on for ever. */
async function endless(backend: "docker" | "process") {
  const image = backend === "docker" ? await testImage() : "none";
  const run = "trap '' TERM; echo begun; while true; do sleep 0.1; done";
  const file = platform.write("p.yaml", { name: "p", environment: { image }, steps: { a: { run } } });
  const started = platform.start(["run", file, "--backend", backend]);
  await until(
    "the step runs",
    () => started.output.stdout.includes("a | begun"),
    () => JSON.stringify(started.output),
  );
  return started;
}

for (const backend of ["process", "docker"] as const) {
  test(`Ctrl-C cancels a run on ${backend}, cleans up and exits with 130`, async () => {
    const { child, ended } = await endless(backend);
    child.kill("SIGINT");
    const { code, stdout } = await ended;
    assert.equal(code, 130);
    assert.match(stdout, /p#\d+ cancelled/);
    await platform.tidy();
  });
}

test("a second Ctrl-C leaves at once, and the run is cancelled and cleaned up all the same", async () => {
  const { child, output, ended } = await endless("process");
  child.kill("SIGINT");
  await until("the cancel was asked for", () => output.stdout.includes("cancel asked for"));
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  const [name] = /p#\d+(?= is being cancelled)/.exec(stderr)!;
  const end = await platform.berth("logs", name, "-f");
  assert.ok(end.code === 0 || end.code === 1, end.stderr);
  assert.match((await platform.berth("run", "show", name)).stdout, /cancelled/);
  await platform.tidy();
});

test("a full disk is named before a run is taken, and room for it is enough", async () => {
  const config = join(platform.home, "local-agent/config.json");
  const usual = readFileSync(config, "utf8");
  const restartAgent = async () => {
    const pid = platform.pidOf("agent");
    process.kill(pid, "SIGTERM");
    await until("another agent is up", () => ![null, pid].includes(platform.findPid("agent")));
  };
  writeFileSync(config, JSON.stringify({ diskFreeMinBytes: Number.MAX_SAFE_INTEGER }));
  await restartAgent();
  const file = platform.write("p.yaml", steps("  a: { run: 'true' }"));
  const run = platform.start(["run", file, "--backend", "process"]);
  const says = /waiting: .*local has [\d.]+ GiB of disk free, and takes no runs below [\d.]+ GiB\./;
  await until(
    "it says why it waits",
    () => says.test(run.output.stdout),
    () => JSON.stringify(run.output),
  );
  writeFileSync(config, usual);
  await restartAgent();
  assert.equal((await run.ended).code, 0);
});
