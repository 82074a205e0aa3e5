import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { inlineOutput, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../../cli/testing/run-captured.ts";
import { Preview } from "../../protocol/preview.ts";

const PIPELINE = `
name: look
environment: { image: busybox }
steps:
  make: { run: make, outputs: { table: { path: table.csv }, pages: { path: pages } } }
`;

test("an artifact, and each file of a folder, is previewed over the API and in the terminal", async (t) => {
  const server = await runServer(t);
  await submit(server, { pipeline: PIPELINE });
  const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");
  const files = { "a.json": '{"a": [1, 2]}', "sub/evil.txt": "\u001b[2Jgone\u202e", "z.bin": "\u0000\u0001" };
  for (const text of Object.values(files)) {
    await server.services.blobs.put(server.project, digestOf(text), Buffer.byteLength(text), Buffer.from(text));
  }
  const entries = Object.entries(files).map(([path, text]) => {
    return { kind: "file", path, mode: 0o644, size: Buffer.byteLength(text), digest: digestOf(text) };
  });
  const { inline, content } = inlineOutput("pages", JSON.stringify({ schema: 1, entries }));
  const size = entries.reduce((sum, entry) => sum + entry.size, 0);
  const table = inlineOutput("table", "a,b\n1,2\n3,4\n");
  const answer = await (await takeRun(await testWorker(server))).report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [
      { ...table, content: { ...table.content, fileName: "table.csv" } },
      { name: "pages", inline: inline!, content: { ...content, kind: "folder", size, fileCount: 3 } },
    ]),
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const preview = async (query: string) => {
    const got = await server.call("viewer", { url: `/artifacts/look/make/${query}` });
    assert.equal(got.statusCode, 200, got.body);
    return Preview.parse(got.json());
  };
  const csv = await preview("table/1/preview?rows=1");
  assert.deepEqual(
    [csv.artifact, csv.fileName, csv.size, csv.truncated, csv.content.kind === "table" && csv.content.rows],
    ["look/make/table/1", "table.csv", 12, true, [["1", "2"]]],
  );
  const folder = await preview("pages/latest/preview?rows=2");
  assert.ok(folder.content.kind === "folder");
  assert.deepEqual(
    [folder.content.entries.map(({ path }) => path), folder.content.next],
    [["a.json", "sub/evil.txt"], "2"],
  );
  const rest = await preview("pages/latest/preview?rows=2&cursor=2");
  assert.deepEqual(rest.content.kind === "folder" && [rest.content.entries.length, rest.content.next], [1, null]);
  const json = await preview("pages/latest/preview?path=a.json");
  assert.deepEqual(json.content, { kind: "json", format: "json", value: { a: [1, 2] } });

  for (const [query, status] of [
    ["table/1/preview?path=x", 400],
    ["pages/1/preview?path=../etc/passwd", 404],
    ["table/1/preview?rows=201", 400],
    ["table/9/preview", 404],
  ] as const) {
    assert.equal((await server.call("viewer", { url: `/artifacts/look/make/${query}` })).statusCode, status, query);
  }

  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const shown = async (...argv: string[]) => {
    const run = await runCaptured(["artifacts", "preview", ...argv, "--server", url, "--token", token]);
    assert.equal(run.exitCode, 0, run.stderr);
    return run;
  };
  const inTerminal = await shown("look/make/table", "--rows", "1");
  assert.deepEqual(
    [inTerminal.stdout, inTerminal.stderr],
    ["a  b\n1  2\n", "1 row is shown, there are more rows, or longer cells\n"],
  );
  assert.match((await shown("look/make/pages")).stdout, /^PATH {10}SIZE\na\.json {8}13 B\n/);
  assert.equal((await shown("look/make/pages", "--path", "sub/evil.txt")).stdout, "gone\ufffd\n");
  assert.match(
    (await shown("look/make/pages", "--path", "z.bin")).stdout,
    /^binary: of no type that is known\nstarts with 0001/,
  );
  assert.equal(JSON.parse((await shown("look/make/table", "--json")).stdout).content.totalRows, 2);

  await server.services.database.pool.query("UPDATE blob_bytes SET data = substring(data FROM 2)");
  const damaged = await preview("pages/1/preview");
  assert.deepEqual(damaged.content, { kind: "none", why: "its manifest is damaged in the store" });
  await server.services.database.pool.query("UPDATE artifact_versions SET expired_at = now(), expired_by = 'a rule'");
  assert.equal((await server.call("viewer", { url: "/artifacts/look/make/table/1/preview" })).statusCode, 410);
});

test("only so many previews are made at once: what each may take of the memory adds up to something bounded", async (t) => {
  const server = await runServer(t);
  await submit(server, { pipeline: PIPELINE.replace(", pages: { path: pages }", "") });
  const answer = await (await takeRun(await testWorker(server))).report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [inlineOutput("table", "a,b\n1,2\n")]),
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const { blobs } = server.services;
  const open = blobs.open.bind(blobs);
  let [now, most, seen] = [0, 0, 0];
  const allSeen = Promise.withResolvers<void>();
  blobs.open = async (...args) => {
    most = Math.max(most, ++now);
    if (++seen === 3) allSeen.resolve();
    await allSeen.promise;
    // Others would come in meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 50));
    now--;
    return await open(...args);
  };
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => server.call("viewer", { url: "/artifacts/look/make/table/1/preview" })),
  );
  assert.deepEqual([...new Set(answers.map(({ statusCode }) => statusCode))], [200]);
  assert.deepEqual([seen, most], [12, 3]);
});
