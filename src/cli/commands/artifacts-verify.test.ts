import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  chainEvents,
  inlineOutput,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../testing/run-captured.ts";

interface Cli {
  readonly server: TestServer;
  readonly folder: string;
  /** Writes a file and returns its path. */
  file(name: string, text: string): string;
  run(...argv: string[]): ReturnType<typeof runCaptured>;
  /** The same without a server. */
  offline(...argv: string[]): ReturnType<typeof runCaptured>;
}

async function cliOf(t: TestContext): Promise<Cli> {
  const server = await runServer(t);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const folder = mkdtempSync(join(tmpdir(), "berth-verify-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return {
    ...{ server, folder },
    file(name, text) {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    },
    run: (...argv) => runCaptured(["artifacts", ...argv, "--server", url, "--token", token]),
    offline: (...argv) => runCaptured(["artifacts", ...argv, "--server", "http://127.0.0.1:1", "--token", "t"]),
  };
}

const ARTIFACT = "chain/make/text/1";

test("a version is verified in the store, as a file, and without any server; what is proven and what not is said", async (t) => {
  const cli = await cliOf(t);
  await submit(cli.server);
  await (await takeRun(await testWorker(cli.server))).report(...chainEvents("hello"));
  const stored = await cli.run("verify", "chain/make/text");
  assert.equal(stored.exitCode, 0, stored.stderr);
  assert.match(
    stored.stdout,
    /✓ signature {2}by the key [0-9a-f]{64}\n✓ statement {2}about chain\/make\/text\/1\n✓ bytes/,
  );
  assert.match(stored.stdout, /an output of step make in chain#1 of the project berth:\/\/[^/]+\/default,\n/);
  assert.match(stored.stdout, /that the project named above is the one you mean/);
  assert.match(stored.stdout, /not proven:\n {2}- that the key is the right one: the same server named it/);

  const envelope = cli.file("env.json", (await cli.run("provenance", ARTIFACT)).stdout);
  const keys = cli.file("keys.pem", (await cli.run("keys", "--pem")).stdout);
  const file = cli.file("text", "hello");
  const given = ["--provenance", envelope, "--key", keys];
  const offline = await cli.offline("verify", ARTIFACT, file, ...given);
  assert.equal(offline.exitCode, 0, offline.stderr + offline.stdout);
  assert.match(offline.stdout, /you vouch for the file given with --key/);
  assert.equal((await cli.offline("verify", "chain/make/text", file, ...given)).exitCode, 0, "any version");
  const json = JSON.parse((await cli.offline("verify", ARTIFACT, file, ...given, "--json")).stdout);
  assert.deepEqual([json.proven, json.statement.subject[0].name], [true, ARTIFACT]);

  const refused = async (why: RegExp, ...argv: string[]) => {
    const { exitCode, stdout, stderr } = await cli.offline("verify", ...argv);
    assert.equal(exitCode, 1, stdout + stderr);
    assert.match(stdout, why);
    assert.match(stdout, /not proven\n$/);
  };
  await refused(/✗ bytes .*text has SHA-256/, ARTIFACT, cli.file("text", "hellO"), ...given);
  cli.file("text", "hello");
  await refused(/✗ statement .*not about chain\/make\/text\/2\n- bytes/, "chain/make/text/2", file, ...given);
  await refused(/not about chain\/use\/text\/1/, "chain/use/text/1", file, ...given);
  await refused(/not about .*item 7/, ARTIFACT, file, ...given, "--item", "7");
  await refused(/a file was signed, and this is a folder/, ARTIFACT, cli.folder, ...given);
  const pem = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }) as string;
  await refused(/no key that is known/, ARTIFACT, file, "--provenance", envelope, "--key", cli.file("other.pem", pem));
  const { payload, ...rest } = JSON.parse(readFileSync(envelope, "utf8"));
  const changed = Buffer.from(payload, "base64").toString().replace("chain#1", "chain#2");
  const forged = cli.file("forged.json", JSON.stringify({ ...rest, payload: Buffer.from(changed).toString("base64") }));
  await refused(
    /✗ signature .*one of them was changed\n- statement/,
    ARTIFACT,
    file,
    "--provenance",
    forged,
    "--key",
    keys,
  );

  for (const [argv, why] of [
    [["--provenance", keys, "--key", keys], /is not JSON/],
    [["--provenance", envelope, "--key", envelope], /holds no public key/],
    [["--provenance", join(cli.folder, "none"), "--key", keys], /cannot be read/],
  ] as const) {
    const { exitCode, stderr } = await cli.offline("verify", ARTIFACT, file, ...argv);
    assert.equal(exitCode, 2);
    assert.match(stderr, why);
  }
});

test("bytes that the store changed are found", async (t) => {
  const cli = await cliOf(t);
  await submit(cli.server);
  await (await takeRun(await testWorker(cli.server))).report(...chainEvents("hello"));
  // The row of the version is changed with its blob, so that every hash of the store agrees.
  const { pool } = cli.server.services.database;
  assert.equal((await cli.run("verify", ARTIFACT)).exitCode, 0);
  const digest = createHash("sha256").update("evil!").digest("hex");
  await cli.server.services.blobs.put(cli.server.project, digest, 5, Buffer.from("evil!"));
  await pool.query("UPDATE artifact_versions SET digest = $1", [digest]);
  const { exitCode, stdout } = await cli.run("verify", ARTIFACT);
  assert.equal(exitCode, 1);
  assert.match(stdout, /✗ bytes .*what is stored has SHA-256/);
});

test("a folder is verified by its manifest, file by file, with nothing missing, changed, linked or added", async (t) => {
  const cli = await cliOf(t);
  const text =
    "name: tree\nenvironment: { image: busybox }\nsteps:\n  make: { run: make, outputs: { pages: { path: pages } } }\n";
  await submit(cli.server, { pipeline: text });
  const digestOf = (content: string) => createHash("sha256").update(content).digest("hex");
  const entries = [
    { kind: "file", path: "a.txt", mode: 0o644, size: 3, digest: digestOf("one") },
    { kind: "file", path: "sub/b.txt", mode: 0o644, size: 3, digest: digestOf("two") },
    { kind: "link", path: "latest", target: "a.txt" },
  ];
  const manifest = JSON.stringify({ schema: 1, entries });
  for (const content of ["one", "two"]) {
    await cli.server.services.blobs.put(cli.server.project, digestOf(content), 3, Buffer.from(content));
  }
  const { inline, content } = inlineOutput("pages", manifest);
  const output = {
    name: "pages",
    inline: inline!,
    content: { ...content, kind: "folder" as const, size: 6, fileCount: 2 },
  };
  const reported = await (await takeRun(await testWorker(cli.server))).report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [output]),
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(reported.statusCode, 200, reported.body);
  const stored = await cli.run("verify", "tree/make/pages/1");
  assert.equal(stored.exitCode, 0, stored.stdout);
  assert.match(stored.stdout, /2 files, 6 B/);

  const envelope = cli.file("env.json", (await cli.run("provenance", "tree/make/pages/1")).stdout);
  const keys = cli.file("keys.pem", (await cli.run("keys", "--pem")).stdout);
  const manifestFile = cli.file("manifest.json", manifest);
  let folders = 0;
  const check = async (change: (folder: string) => void, manifestText = manifest) => {
    const folder = join(cli.folder, `pages${folders++}`);
    mkdirSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "a.txt"), "one");
    writeFileSync(join(folder, "sub/b.txt"), "two");
    symlinkSync("a.txt", join(folder, "latest"));
    change(folder);
    writeFileSync(manifestFile, manifestText);
    const given = ["--provenance", envelope, "--key", keys, "--manifest", manifestFile];
    return await cli.offline("verify", "tree/make/pages/1", folder, ...given);
  };
  const whole = await check(() => {});
  assert.equal(whole.exitCode, 0, whole.stdout + whole.stderr);
  const wrong: readonly [RegExp, (folder: string) => void, string?][] = [
    [/a\.txt has SHA-256/, (folder) => writeFileSync(join(folder, "a.txt"), "One")],
    [/sub\/b\.txt is not there/, (folder) => rmSync(join(folder, "sub/b.txt"))],
    [/extra is in the folder, and was not signed/, (folder) => writeFileSync(join(folder, "extra"), "")],
    [
      /latest leads to sub\/b\.txt, not to a\.txt/,
      (folder) => {
        rmSync(join(folder, "latest"));
        symlinkSync("sub/b.txt", join(folder, "latest"));
      },
    ],
    [
      /a\.txt is no file/,
      (folder) => {
        rmSync(join(folder, "a.txt"));
        symlinkSync("sub/b.txt", join(folder, "a.txt"));
      },
    ],
    [
      /sub is a link, and was not signed as one/,
      (folder) => {
        rmSync(join(folder, "sub"), { recursive: true });
        mkdirSync(`${folder}-elsewhere`);
        writeFileSync(`${folder}-elsewhere/b.txt`, "two");
        symlinkSync(`${folder}-elsewhere`, join(folder, "sub"));
      },
    ],
    [/the manifest has SHA-256/, () => {}, manifest.replace("0", "1")],
  ];
  for (const [why, change, manifestText] of wrong) {
    const { exitCode, stdout } = await check(change, manifestText);
    assert.equal(exitCode, 1, String(why));
    assert.match(stdout, why);
  }
});
