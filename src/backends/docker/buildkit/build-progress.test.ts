import assert from "node:assert/strict";
import { test } from "node:test";
import { BuildProgress } from "./build-progress.ts";
import type { TraceItem } from "./trace.ts";

const MIB = 1024 * 1024;

function vertex(id: string, name: string, more: Partial<Extract<TraceItem, { kind: "vertex" }>> = {}): TraceItem {
  return { kind: "vertex", id, name, isCached: false, startedMs: 0, completedMs: null, error: "", ...more };
}

function part(name: string, currentBytes: number, totalBytes = 0, isCompleted = false): TraceItem {
  return { kind: "status", vertex: "x", name, currentBytes, totalBytes, isCompleted };
}

test("how far a transfer is is told every few seconds, of all its parts together", () => {
  let now = 0;
  const progress = new BuildProgress(() => now);
  assert.equal(progress.add(vertex("x", "[1/2] FROM base")), "#1 [1/2] FROM base\n");
  assert.equal(progress.add(part("one", 1 * MIB, 10 * MIB)), "");
  now = 3_000;
  assert.equal(progress.add(part("two", 4 * MIB, 30 * MIB)), "#1 5 of 40 MiB so far\n");
  assert.equal(progress.add(part("two", 5 * MIB, 30 * MIB)), "");
  now = 6_000;
  assert.equal(progress.add(part("one", 10 * MIB, 10 * MIB, true)), "#1 one done\n");
  assert.equal(progress.add(part("two", 6 * MIB, 30 * MIB)), "#1 16 of 40 MiB so far\n");
});

test("a transfer whose end is not known tells what it has moved", () => {
  let now = 0;
  const progress = new BuildProgress(() => now);
  progress.add(vertex("x", "[internal] load build context"));
  now = 4_000;
  assert.equal(progress.add(part("transferring context:", 12 * MIB)), "#1 12 MiB so far\n");
});

test("what prepares a build is not told and takes no number, unless it fails", () => {
  const progress = new BuildProgress();
  const name = "[internal] load build definition from Dockerfile";
  assert.equal(progress.add(vertex("d", name)), "");
  assert.equal(progress.add(vertex("d", name, { completedMs: 5 })), "");
  assert.equal(
    progress.add(vertex("r", "[2/2] RUN make", { completedMs: 1_500 })),
    "#1 [2/2] RUN make\n#1 DONE 1.5s\n",
  );
  assert.equal(
    progress.add(vertex("i", "[internal] load .dockerignore", { error: "gone" })),
    "#2 [internal] load .dockerignore\n#2 ERROR: gone\n",
  );
});

test("a failed command is told by its end, and named once", () => {
  const progress = new BuildProgress();
  progress.add(vertex("x", "[2/2] RUN make"));
  progress.add({ kind: "log", vertex: "x", bytes: Buffer.from("no rule\n") });
  const error = "executor failed running [/bin/sh -c make [all]: x]: exit code: 2";
  assert.equal(progress.add(vertex("x", "[2/2] RUN make", { error })), "#1 ERROR: exit code: 2\n");
  assert.deepEqual(progress.failed, { instruction: "RUN make", lastLines: ["no rule"] });
});
