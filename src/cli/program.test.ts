import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Command } from "commander";
import { COMMANDS } from "./command-table.ts";
import type { CliContext } from "./context.ts";
import { runCaptured } from "./testing/run-captured.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-cli-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const VALID = "name: hello\nsteps:\n  greet:\n    run: echo hello\n    environment: { image: busybox }\n";

/** A server that gives one answer to everything. */
async function serverAnswering(status: number, body: string) {
  const seen: { url: string; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    seen.push({ url: request.url!, authorization: request.headers.authorization });
    request.resume();
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const env = { BERTH_SERVER: `http://127.0.0.1:${port}`, BERTH_TOKEN: "brt_secret" };
  return { env, seen, [Symbol.dispose]: () => void server.close() };
}

test("help names every command and the exit codes, and succeeds", async () => {
  const { exitCode, stdout } = await runCaptured(["help"]);
  assert.equal(exitCode, 0);
  for (const { name } of COMMANDS) assert.match(stdout, new RegExp(`^  ${name} `, "m"));
  assert.match(stdout, /Exit codes: 0 success/);
});

test("help of a command that is not there is an error that names what was meant", async () => {
  const { exitCode, stdout, stderr } = await runCaptured(["help", "vaildate"]);
  assert.equal(exitCode, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /unknown command 'vaildate'/);
  assert.match(stderr, /Did you mean validate\?/);
});

test("a home that cannot be made is named, with what to do, and nothing hangs", async () => {
  for (const home of ["/proc/no/such/home", join(file("not-a-folder", ""), "home")]) {
    const { exitCode, stderr } = await runCaptured(["runs"], { BERTH_HOME: home });
    assert.equal(exitCode, 3, home);
    assert.match(stderr, new RegExp(`${home} cannot be used as Berth's home`));
    assert.match(stderr, /Set BERTH_HOME to a folder that you may write to/);
  }
});

test("every command shows an example or says what there is to know, down to subcommands", async () => {
  for (const entry of COMMANDS) {
    const command = new Command(entry.name);
    (await entry.load()).define(command, {} as CliContext, { exitCode: 0 });
    for (const name of [[entry.name], ...command.commands.map((child) => [entry.name, child.name()])]) {
      const { exitCode, stdout } = await runCaptured([...name, "--help"]);
      assert.equal(exitCode, 0, name.join(" "));
      const hasSubcommands = name.length === 1 && command.commands.length > 0;
      assert.match(stdout, hasSubcommands ? /Commands:|Examples?:/ : /Examples?:/, name.join(" "));
    }
  }
});

test("the version is printed alone", async () => {
  assert.deepEqual(await runCaptured(["--version"]), { exitCode: 0, stdout: "1.2.3\n", stderr: "" });
});

test("wrong usage is exit code 2 with a hint, and nothing on stdout", async () => {
  const wrong: [string[], RegExp][] = [
    [["runn"], /unknown command 'runn'\n\(Did you mean one of run, runs\?\)/],
    [["run"], /missing required argument 'file'/],
    [["run", "--nope", "x"], /unknown option '--nope'/],
    [["runs", "--limit", "0"], /whole number of at least 1/],
    [["runs", "--state", "done"], /"done" is no state of a run/],
    [["run", "missing.yaml"], /There is no file missing\.yaml/],
    [["run", folder], /is not a file/],
    [["demo", "--backend", "cloud"], /docker or process/],
    [["token", "create", "--name", "ci"], /needs --name and --role/],
    [["token", "create", "--name", "ci", "--role", "root"], /"root" is no role/],
    [["token", "create", "--registration", "--role", "admin"], /are for API tokens/],
    [["token", "create", "--name", "ci", "--role", "viewer", "--pool", "gpu"], /need --registration/],
    [["token", "create", "--name", "ci", "--role", "viewer", "--expires", "soon"], /30m, 12h or 90d/],
    [["artifacts", "get", "wine"], /does not name an artifact/],
    [["artifacts", "get", "../../etc/passwd"], /does not name an artifact/],
    [["artifacts", "lineage", "wine/a/b", "--direction", "left"], /"left" is no direction/],
    [["artifacts", "lineage", "wine/a/b", "--dot", "--json"], /use one/],
    [["agent", "start"], /not registered as a worker/],
    [["agent", "register", "--server", "http://x"], /registration token is needed/],
    [["workers", "--server", "http://127.0.0.1:1"], /no token for/],
    [["workers", "--server", "ftp://x", "--token", "t"], /is not the address of a server/],
    [["workers", "--token", "t"], /without a server/],
    [["runs", "--limit", "99999"], /option '--limit <n>' argument '99999' is invalid\. It is to be at most 10000/],
    [["runs", "--state", "queued,done"], /"done" is no state of a run/],
    [["runs", "--since", "yesterday"], /"yesterday" is no time/],
    [["artifacts", "ls", "--limit", "99999"], /It is to be at most 500/],
    [["cancel", "", "--server", "http://127.0.0.1:1", "--token", "t"], /An empty text names no run\.\n.*wine#12/],
    [["restart", "rst#2", "--from", "item[7]"], /--from names a step .*"item\[7\]" is none\.\n.*--from item\./],
    [["restart", "rst#2", "--from", "a b"], /"a b" is none\.\n.*starts with a letter/],
    [
      ["agent", "register", "--server", "http://x", "--token", "t", "--name", "forge 1"],
      /"forge 1" cannot be the name of a worker \(--name\)\.\n.*starts with a letter/,
    ],
  ];
  for (const [argv, expected] of wrong) {
    const { exitCode, stdout, stderr } = await runCaptured(argv);
    assert.equal(exitCode, 2, `${argv.join(" ")}: ${stderr}`);
    assert.match(stderr, expected, argv.join(" "));
    assert.equal(stdout, "", argv.join(" "));
  }
});

test("a valid pipeline file is named with its steps", async () => {
  const path = file("valid.yaml", VALID);
  const { exitCode, stdout, stderr } = await runCaptured(["validate", path]);
  assert.equal(exitCode, 0, stderr);
  assert.equal(stdout, `✓ ${path}: pipeline hello, 1 step\n`);
});

test("a file with schedules is named with when each would be due", async () => {
  const path = file(
    "scheduled.yaml",
    `schedules: { nightly: 0 3 * * *, off: { cron: "@daily", enabled: false } }\n${VALID}`,
  );
  const { exitCode, stdout } = await runCaptured(["validate", path]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^ {2}schedule nightly: 0 3 \* \* \* UTC, next \d{4}-\d\d-\d\d 03:00$/m);
  assert.match(stdout, /^ {2}schedule off: @daily UTC, disabled$/m);
  const json = await runCaptured(["validate", "--json", path]);
  assert.deepEqual(
    JSON.parse(json.stdout).schedules.map(({ name }: { name: string }) => name),
    ["nightly", "off"],
  );
});

test("an invalid pipeline file gives exit code 2 and every problem with its position", async () => {
  const path = file(
    "invalid.yaml",
    "name: hello\nsteps:\n  greet:\n    runn: echo\n    needs: [missing]\n    environment: { image: busybox }\n",
  );
  for (const command of ["validate", "run"]) {
    const { exitCode, stdout, stderr } = await runCaptured([command, path]);
    assert.equal(exitCode, 2);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`${path}:4:5 .*runn.*did you mean "run"`));
  }
});

test("with --json only JSON is on stdout, for good and bad files", async () => {
  const good = await runCaptured(["validate", "--json", file("good.yaml", VALID)]);
  assert.equal(JSON.parse(good.stdout).plan.name, "hello");
  const bad = await runCaptured(["validate", "--json", file("bad.yaml", "name: 7\n")]);
  assert.equal(bad.exitCode, 2);
  assert.equal(JSON.parse(bad.stdout).ok, false);
  assert.ok(JSON.parse(bad.stdout).problems.length > 0);
});

test("an unknown or wrong parameter is refused before any server is asked", async () => {
  const path = file("params.yaml", `params: { seed: 7 }\n${VALID}`);
  const unknown = await runCaptured(["run", path, "--param", "sed=8"]);
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.stderr, /sed.*did you mean "seed"/);
  const wrong = await runCaptured(["run", path, "--param", "seed=many"]);
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /must be a whole number/);
});

test("the Dockerfile of an environment is printed, and a ready image has none", async () => {
  const path = file(
    "env.yaml",
    "name: hello\nsteps:\n  greet:\n    run: echo\n    environment: { base: debian, apt: [git] }\n",
  );
  assert.match((await runCaptured(["env", "dockerfile", path])).stdout, /^FROM debian\n.*apt-get install.*git/s);
  const { exitCode, stderr } = await runCaptured(["env", "dockerfile", file("image.yaml", VALID)]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /ready image busybox/);
});

test("a server that does not answer is exit code 3", async () => {
  const server = await serverAnswering(200, "");
  server[Symbol.dispose]();
  const { exitCode, stderr } = await runCaptured(["workers"], server.env);
  assert.equal(exitCode, 3);
  assert.match(stderr, /No Berth server answers at http:\/\/127\.0\.0\.1:\d+: the connection was refused/);
});

test("what the server refuses is shown in its words, and is exit code 2", async () => {
  const body = { error: { code: "unauthenticated", message: "The token is not known.", advice: "Make a new one." } };
  using server = await serverAnswering(401, JSON.stringify(body));
  const { exitCode, stderr } = await runCaptured(["workers"], server.env);
  assert.equal(exitCode, 2);
  assert.equal(stderr, "error: The token is not known.\n  Make a new one.\n");
  assert.equal(server.seen[0]!.authorization, "Bearer brt_secret");
});

test("what is no Berth server is told apart from one that refuses", async () => {
  using server = await serverAnswering(404, "<html>");
  const { exitCode, stderr } = await runCaptured(["workers"], server.env);
  assert.equal(exitCode, 3);
  assert.match(stderr, /answered 404 in a form that Berth does not use/);
});

test("a server's message cannot act on the terminal", async () => {
  const body = { error: { code: "not_found", message: "no \u001b[2Jrun\u0007" } };
  using server = await serverAnswering(404, JSON.stringify(body));
  const { stderr } = await runCaptured(["cancel", "x#1"], server.env);
  assert.equal(stderr, "error: no run␇\n");
});

test("an option wins over the environment, and the environment over config.json", async () => {
  using asked = await serverAnswering(200, '{"items":[],"next":null}');
  const argv = ["workers", "--server", asked.env.BERTH_SERVER, "--token", "option"];
  const { exitCode } = await runCaptured(argv, { BERTH_SERVER: "http://127.0.0.1:1", BERTH_TOKEN: "environment" });
  assert.equal(exitCode, 0);
  assert.equal(asked.seen[0]!.authorization, "Bearer option");
});
