import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { testPerlImage } from "../../test/setup/perl-image.ts";
import { dockerBackend } from "../backends/docker/docker-backend.ts";
import { removeAttemptFolder } from "./attempt-folder.ts";
import type { AttemptResult } from "./attempt-work.ts";
import { DiskWatch } from "./disk-watch.ts";
import { runAttempt } from "./run-attempt.ts";
import { runtimeFixture } from "./testing/runtime-fixture.ts";

/** Limits of what real containers write, by a script that would not end by itself. */

const MiB = 1024 ** 2;
const LIMITS = { bytes: 64 * MiB, entries: 2_000 };

async function run(
  script: string,
  {
    memoryBytes = null,
    diskBytes = null,
  }: { readonly memoryBytes?: number | null; readonly diskBytes?: number | null } = {},
): Promise<AttemptResult> {
  await using fixture = await runtimeFixture(dockerBackend);
  using disk = new DiskWatch({ limits: LIMITS, keepFreeBytes: () => 0, log: pino({ level: "silent" }) });
  const plain = fixture.work({ graceMs: 100, diskBytes });
  const image = await testPerlImage();
  const limits = { cpus: null, memoryBytes, pids: 64 };
  const spec = { ...plain.spec, image, argv: ["sh", "-c", script], network: "none", limits } as const;
  const work = { ...plain, spec };
  const context = { ...fixture.context, disk };
  const result = await runAttempt(context, work, { onPhase: () => {} }, new AbortController().signal);
  await fixture.context.session.release(result.handle!, { force: true });
  await fixture.context.session.releaseScope(work.ref.scope);
  await removeAttemptFolder(work.spec.folder);
  return result;
}

/** So slow that the test sees about how much was written. */
const fill = (file: string) => `while :; do dd if=/dev/zero bs=1M count=8 2>/dev/null; sleep 0.2; done >>${file}`;

test("a step that fills its container's own layer is stopped at its limit", async () => {
  const { outcome } = await run(fill("/var/tmp/fill"), { diskBytes: 32 * MiB });
  assert.deepEqual([outcome.state, outcome.fault?.code, outcome.fault?.blame], ["failed", "disk-exceeded", "step"]);
  assert.match(outcome.fault!.message, /more than 32\.0 MiB/);
  assert.ok(outcome.stats.diskBytes! > 32 * MiB, `${outcome.stats.diskBytes}`);
});

test("a step that fills its output folder, or its log, is stopped at the worker's limit where it names none", async () => {
  for (const file of ["/berth/out/fill", "/dev/stdout"]) {
    const { outcome } = await run(fill(file));
    assert.equal(outcome.fault?.code, "disk-exceeded", file);
    assert.match(outcome.fault.message, /more than 64\.0 MiB/);
  }
});

test("a step that makes files without end is stopped at the limit of files", async () => {
  const files = "i=0; while :; do : >/var/tmp/f$i; i=$((i+1)); [ $((i % 500)) -ne 0 ] || sleep 0.2; done";
  const { outcome } = await run(files);
  assert.equal(outcome.fault?.code, "disk-exceeded");
  assert.match(outcome.fault.message, /more than 2000 files and folders/);
});

test("a step that fills its /tmp, which is memory, is told that there was no space left", async () => {
  const { outcome } = await run("dd if=/dev/zero of=/tmp/fill bs=1M count=60 || exit 4", { memoryBytes: 64 * MiB });
  assert.deepEqual([outcome.fault?.code, outcome.exitCode], ["disk-full", 4]);
  assert.match(outcome.fault!.evidence!, /No space left on device/);
  assert.match(outcome.fault!.advice, /\/tmp is memory/);
});
