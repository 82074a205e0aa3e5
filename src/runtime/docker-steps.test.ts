import assert from "node:assert/strict";
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { testImage } from "../../test/setup/docker.ts";
import { dockerBackend } from "../backends/docker/docker-backend.ts";
import type { ExecutionBackend } from "../backends/execution-backend.ts";
import { FolderManifest } from "../protocol/artifacts.ts";
import { removeAttemptFolder } from "./attempt-folder.ts";
import type { AttemptWork } from "./attempt-work.ts";
import { prepareAttempt } from "./prepare-attempt.ts";
import { runAttempt } from "./run-attempt.ts";
import { type RuntimeFixture, runtimeFixture } from "./testing/runtime-fixture.ts";

/** What only shows with real containers: another user than the agent's, mounts, and files that are not ours. */

const never = new AbortController().signal;
const OUTPUT = { optional: false, when: "success" } as const;

async function run(fixture: RuntimeFixture<ExecutionBackend>, script: string, more: Partial<AttemptWork>) {
  const plain = fixture.work(more);
  const image = await testImage();
  const work = { ...plain, spec: { ...plain.spec, image, argv: ["sh", "-ec", script], network: "none" } } as const;
  await prepareAttempt(fixture.context, work);
  const result = await runAttempt(fixture.context, work, { onPhase: () => {} }, never);
  assert.ok(result.handle, `nothing was started: ${JSON.stringify(result.outcome)}`);
  const chunks = await Array.fromAsync(
    fixture.context.session.logs(result.handle, "stderr", { offset: 0, follow: false }),
  );
  const inode = work.inputs.length === 0 ? 0 : lstatSync(join(work.spec.folder, "in", work.inputs[0]!.name)).ino;
  await fixture.context.session.release(result.handle);
  await fixture.context.session.releaseScope(work.ref.scope);
  await removeAttemptFolder(work.spec.folder);
  return { ...result, inode, stderr: Buffer.concat(chunks).toString() };
}

test("a container reads an input that is the cache's own file, and cannot change it", async () => {
  await using fixture = await runtimeFixture(dockerBackend);
  const content = await fixture.store("from the cache\n");
  const script = `
    cat /berth/in/table > /berth/out/copy
    ! (echo x >> /berth/in/table) 2>/dev/null
    ! chmod 777 /berth/in/table 2>/dev/null
    ! rm /berth/in/table 2>/dev/null
    ! touch /berth/in/new 2>/dev/null`;
  const result = await run(fixture, script, {
    inputs: [{ kind: "content", name: "table", content }],
    outputs: { copy: { path: "copy", type: "file", ...OUTPUT } },
  });
  assert.equal(result.outcome.state, "succeeded", result.stderr + JSON.stringify(result.outcome));
  assert.equal(result.outputs.copy?.digest, content.digest);
  const blob = fixture.cache.find(content.digest, content.size)!;
  assert.equal(result.inode, lstatSync(blob).ino);
  assert.equal(readFileSync(blob, "utf8"), "from the cache\n");
});

test("what a container's user wrote is collected, becomes the agent's own, and can be removed", async () => {
  await using fixture = await runtimeFixture(dockerBackend);
  const script = `
    mkdir -p /berth/out/set/inner && cd /berth/out/set
    echo 1 > inner/one && chmod 600 inner/one && chmod 500 inner
    printf '#!/bin/sh\\n' > run && chmod 711 run && ln -s inner/one link
    echo scratch > /berth/tmp/left && mkdir /berth/tmp/closed && touch /berth/tmp/closed/x && chmod 000 /berth/tmp/closed`;
  const result = await run(fixture, script, { outputs: { set: { path: "set", type: "folder", ...OUTPUT } } });
  assert.equal(result.outcome.state, "succeeded", result.stderr + JSON.stringify(result.outcome));
  const manifest = readFileSync(fixture.cache.find(result.outputs.set!.digest, null)!, "utf8");
  const { entries } = FolderManifest.parse(JSON.parse(manifest));
  assert.deepEqual(
    entries.map((entry) => `${entry.path} ${entry.kind === "link" ? entry.target : entry.mode.toString(8)}`),
    ["inner 755", "inner/one 644", "link inner/one", "run 755"],
  );
  for (const entry of entries) {
    if (entry.kind === "file") assert.equal(lstatSync(fixture.cache.find(entry.digest, null)!).uid, process.getuid!());
  }
});

test("a container cannot make the agent collect, or write to, a file of the host", async () => {
  await using fixture = await runtimeFixture(dockerBackend);
  mkdirSync(join(fixture.root, "host"));
  writeFileSync(join(fixture.root, "host", "secret"), "of the host");
  const target = join(fixture.root, "host");
  const script = `cd /berth && mv out old && ln -s ${target} out && ln -s ${target}/secret error.json`;
  const result = await run(fixture, script, { outputs: { secret: { path: "secret", type: "file", ...OUTPUT } } });
  assert.equal(result.outcome.fault?.code, "output-unsafe", result.stderr + JSON.stringify(result.outcome));
  assert.equal(readFileSync(join(target, "secret"), "utf8"), "of the host");
});

test("a business error from inside of a container is read", async () => {
  await using fixture = await runtimeFixture(dockerBackend);
  const script = `echo '{"type":"business","message":"no price"}' > "$BERTH_DIR/error.json"; exit 1`;
  const { outcome } = await run(fixture, script, {});
  assert.deepEqual([outcome.fault?.code, outcome.fault?.message], ["business", "no price"]);
});
