import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import type { BackendSession, Handle } from "../backends/execution-backend.ts";
import type { DiskRoom } from "../std/disk-room.ts";
import type { TreeSize } from "../std/tree-size.ts";
import { type DiskExcess, DiskWatch, type DiskWatchOptions } from "./disk-watch.ts";

const MiB = 1024 ** 2;
const ROOMY: DiskRoom = { freeBytes: 100 * MiB, totalBytes: 1000 * MiB, freeEntries: 1000, totalEntries: 10_000 };
const LAYERS = new Map<string, TreeSize>();
const session = { layerUse: async ({ name }: Handle) => LAYERS.get(name) ?? null } as unknown as BackendSession;

function setUp(t: TestContext, options: Partial<DiskWatchOptions> = {}) {
  const root = mkdtempSync(join(tmpdir(), "berth-disk-"));
  const watch = new DiskWatch({
    ...{ limits: { bytes: 10 * MiB, entries: 100 }, keepFreeBytes: (total: number) => total / 20 },
    ...{ log: pino({ level: "silent" }), room: async () => ROOMY, ...options },
  });
  t.after(() => {
    watch[Symbol.dispose]();
    rmSync(root, { recursive: true });
  });
  const lay = (name: string): Handle => {
    const folder = join(root, name);
    for (const part of ["in", "out", "ctl"]) mkdirSync(join(folder, part), { recursive: true });
    return { backend: "fake", name, folder, ref: { run: "r", scope: "s", stepRun: name, attempt: 1 } };
  };
  return { watch, lay };
}

async function excessOf(signal: AbortSignal): Promise<DiskExcess> {
  if (!signal.aborted) await once(signal, "abort", { signal: AbortSignal.timeout(20_000) });
  return signal.reason as DiskExcess;
}

test("an attempt is stopped when outputs, logs and its layer together are more than its limit, whatever its inputs are", async (t) => {
  const { watch, lay } = setUp(t);
  const [within, beyond] = [lay("within"), lay("beyond")];
  for (const { folder } of [within, beyond]) {
    writeFileSync(join(folder, "in/big"), Buffer.alloc(20 * MiB, 1));
    writeFileSync(join(folder, "out/some"), Buffer.alloc(2 * MiB, 1));
    writeFileSync(join(folder, "ctl/stdout"), Buffer.alloc(2 * MiB, 1));
  }
  LAYERS.set("beyond", { bytes: 7 * MiB, entries: 1 });
  using first = watch.watch(session, within, null);
  using second = watch.watch(session, beyond, null);
  const excess = await excessOf(second.excess);
  assert.equal(excess.code, "disk-exceeded");
  assert.match(excess.message, /more than 10\.0 MiB to the disk/);
  assert.match(excess.evidence, /at least 11\.\d MiB in/);
  assert.ok(second.most!.bytes >= 11 * MiB);
  assert.equal(first.excess.aborted, false);
  assert.ok(first.most!.bytes >= 4 * MiB && first.most!.bytes < 5 * MiB, `${first.most!.bytes}`);
});

test("the step's own limit counts before that of the worker, and too many files are too much as well", async (t) => {
  const { watch, lay } = setUp(t);
  const [own, many] = [lay("own"), lay("many")];
  writeFileSync(join(own.folder, "out/some"), Buffer.alloc(2 * MiB, 1));
  for (let index = 0; index < 101; index++) writeFileSync(join(many.folder, `out/${index}`), "");
  using first = watch.watch(session, own, MiB);
  using second = watch.watch(session, many, null);
  assert.match((await excessOf(first.excess)).message, /more than 1\.0 MiB/);
  assert.match((await excessOf(second.excess)).message, /more than 100 files and folders/);
});

test("when the disk is nearly full the attempt that holds most is stopped, and no other at once", async (t) => {
  const limits = { bytes: 1000 * MiB, entries: 1_000_000 };
  const { watch, lay } = setUp(t, { limits, room: async () => ({ ...ROOMY, freeBytes: 40 * MiB }) });
  const [small, large, larger] = [lay("small"), lay("large"), lay("larger")];
  LAYERS.set("small", { bytes: MiB, entries: 1 });
  LAYERS.set("large", { bytes: 100 * MiB, entries: 1 });
  LAYERS.set("larger", { bytes: 200 * MiB, entries: 1 });
  using first = watch.watch(session, small, null);
  using second = watch.watch(session, large, null);
  using third = watch.watch(session, larger, null);
  const excess = await excessOf(third.excess);
  assert.equal(excess.code, "disk-full");
  assert.match(excess.evidence, /the disk had 40\.0 MiB and 1000 files free; the step held 200 MiB in/);
  assert.deepEqual([first.excess.aborted, second.excess.aborted], [false, false]);
});

test("a disk that is full of what others hold stops no attempt, and one with too few files left stops who has them", async (t) => {
  const limits = { bytes: 1000 * MiB, entries: 1_000_000 };
  const { watch, lay } = setUp(t, { limits, room: async () => ({ ...ROOMY, freeEntries: 100 }) });
  const [few, many] = [lay("few"), lay("files")];
  LAYERS.set("few", { bytes: 500 * MiB, entries: 9_000 });
  LAYERS.set("files", { bytes: MiB, entries: 20_000 });
  using first = watch.watch(session, few, null);
  {
    using second = watch.watch(session, many, null);
    assert.equal((await excessOf(second.excess)).code, "disk-full");
  }
  assert.equal(first.excess.aborted, false);
});

test("a platform that cannot be asked for a layer does not keep the rest from counting", async (t) => {
  const { watch, lay } = setUp(t);
  const handle = lay("away");
  writeFileSync(join(handle.folder, "out/some"), Buffer.alloc(2 * MiB, 1));
  const away = { layerUse: () => Promise.reject(new Error("away")) } as unknown as BackendSession;
  using watched = watch.watch(away, handle, MiB);
  assert.equal((await excessOf(watched.excess)).code, "disk-exceeded");
});
