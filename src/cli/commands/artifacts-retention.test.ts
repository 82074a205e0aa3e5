import assert from "node:assert/strict";
import { test } from "node:test";
import { collectNow, produce, producer } from "../../../test/setup/retention-fixture.ts";
import { runServer } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../testing/run-captured.ts";

test("how long a version stays is said, set, and kept to; what is gone says why and what to do", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  for (const text of ["1", "2"]) await produce(server, worker, producer("p", "retention: { keep: 3d, last: 1 }"), text);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "operator", server.project);
  const berth = async (...argv: string[]) => runCaptured([...argv, "--server", url, "--token", token]);
  const says = async (...argv: string[]) => {
    const { exitCode, stdout, stderr } = await berth(...argv);
    assert.equal(exitCode, 0, stderr);
    return stdout;
  };

  assert.match(
    await says("artifacts", "retention", "p/make/out"),
    /3d or the last 1?.*rule of its pipeline file +in 3 d.*one of the newest/,
  );
  assert.match(await says("artifacts", "pin", "p/make/out/1", "--reason", "paper"), /stays until it is unpinned/);
  assert.match(await says("artifacts", "ls"), /p\/make\/out\/1 .* pinned\n/);
  assert.match(await says("artifacts", "retention", "p/make/out/1"), /not while test-operator pins it \(paper\)/);
  const pinned = await berth("artifacts", "rm", "p/make/out/1");
  assert.equal(pinned.exitCode, 2);
  assert.match(pinned.stderr, /test-operator pinned it \(paper\)[\s\S]*--force/);
  await says("artifacts", "unpin", "p/make/out/1");
  assert.match(await says("artifacts", "expire", "p/make/out/1"), /goes within minutes/);
  await collectNow(server);
  assert.doesNotMatch(await says("artifacts", "ls"), /p\/make\/out\/1/);
  assert.match(await says("artifacts", "ls", "--all"), /p\/make\/out\/1 .* gone\n/);
  const gone = await berth("artifacts", "get", "p/make/out/1");
  assert.equal(gone.exitCode, 2);
  assert.match(gone.stderr, /is gone since .*: its own time, set by test-operator\.\n.*berth restart p#1 --from make/);
  assert.match((await berth("artifacts", "rm", "p/make/out")).stderr, /names no version/);
  const tagged = await berth("artifacts", "tag", "p/make/out", "stage=trial");
  assert.match(tagged.stderr, /^p\/make\/out\/2: changed\.$/m, "which one it was is said");
  for (const command of ["get", "show", "preview", "verify", "retention", "lineage", "provenance"]) {
    const { exitCode, stderr } = await berth("artifacts", command, "p/make/out", "--item", "9");
    assert.match(stderr, /has no item "9"\.\n.*`berth artifacts show`/, command);
    assert.equal(exitCode, 2, command);
  }
  assert.match((await berth("artifacts", "show", "p/make/out/9")).stderr, /`berth artifacts ls` lists them/);
  assert.match((await berth("workers", "show", "nobody")).stderr, /no worker nobody\.\n.*`berth workers`/);
  assert.match((await berth("logs", "p#1", "--step", "no")).stderr, /no step or step run no\.\n.*`berth run show`/);

  assert.match(
    await says("store", "rules", "set", "3d", "--last", "5", "--type", "pickle"),
    /type pickle are kept: 3d or the last 5/,
  );
  assert.match(
    await says("store", "rules", "set", "forever", "--artifact", "p/make/out"),
    /versions of p\/make\/out are kept: forever/,
  );
  assert.match(
    (await berth("store", "rules", "set", "3d", "--type", "pickel")).stderr,
    /no type pickel.*\n.*pickle, and x-/,
  );
  await says("store", "rules", "set", "3d", "--type", "x-mesh.v2");
  await says("store", "rules", "unset", "--type", "x-mesh.v2");
  assert.match(
    await says("artifacts", "retention", "p/make/out"),
    /forever, the project's rule for p\/make\/out +never/,
  );
  assert.match(
    await says("store", "rules"),
    /versions of .* forever .*\noutputs of the type pickle +3d or the last 5 +test-operator\neverything else +14d/,
  );
  await says("store", "rules", "set", "30d");
  assert.match(await says("store", "rules"), /type pickle .*\nartifacts of this project +30d +test-operator\n$/);
  await says("store", "rules", "unset", "--type", "pickle");
  assert.match((await berth("store", "rules", "unset", "--type", "pickle")).stderr, /There is no rule/);
  assert.match((await berth("store", "rules", "set", "soon")).stderr, /is no time to keep something for/);
});
