import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { KeptImage } from "../backends/kept-images.ts";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { ImageCare } from "./image-care.ts";
import { AgentFixture } from "./testing/agent-fixture.ts";
import { until } from "./testing/until.ts";

const MINUTE = 60_000;
const idOf = (digit: string) => `sha256:${digit.repeat(64)}`;

function kept(digit: string, minutesAgo: number, more: Partial<KeptImage> = {}): KeptImage {
  const usedAtMs = Date.now() - minutesAgo * MINUTE;
  return { id: idOf(digit), names: [`registry/${digit}:1`], bytes: 100, usedAtMs, neededBy: null, ...more };
}

/** A worker with these images, one run that is fixed on image 2, and a platform that will not part with image 3. */
function worker(t: TestContext, images: readonly KeptImage[]) {
  const home = mkdtempSync(join(tmpdir(), "berth-images-"));
  t.after(() => rmSync(home, { recursive: true }));
  const run = join(home, "runs", "run_1.1");
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, "journal.jsonl"), `${JSON.stringify({ image: idOf("2") })}\n`);
  const removed: string[] = [];
  const keptImages = {
    list: async () => images,
    remove: async ({ id }: { readonly id: string }) => {
      if (id === idOf("3")) return false;
      removed.push(id);
      return true;
    },
  };
  const config = { imageBytesMax: 250, imagesKept: ["registry/4:*"] };
  const sessions = new Map([
    ["docker", { keptImages }],
    ["process", {}],
  ]);
  return { care: new ImageCare({ home, config, sessions }), removed };
}

test("the longest unused goes first, and no more than the budget asks for", async (t) => {
  const { care, removed } = worker(t, [kept("a", 10), kept("b", 30), kept("c", 20), kept("d", 40)]);
  const { removedBytes, leftBytes } = await care.prune(250);
  assert.deepEqual([removed, removedBytes, leftBytes], [[idOf("d"), idOf("b")], 200, 200]);
});

test("what something needs is never removed, and says what that is", async (t) => {
  const images = [
    kept("1", 50, { neededBy: "a container" }),
    ...[kept("2", 49), kept("3", 48), kept("4", 47), kept("5", 0)],
    kept("6", 46),
  ];
  const { care, removed } = worker(t, images);
  const { images: shown, bytes, budgetBytes } = await care.show();
  assert.deepEqual([bytes, budgetBytes], [600, 250]);
  assert.deepEqual(
    shown.map(({ kept: by }) => by),
    ["a container", "a run on this worker", null, "imagesKept: registry/4:*", null, "a use within the last minute"],
  );
  const pruned = await care.prune(0);
  assert.deepEqual(removed, [idOf("6")], "the platform refused image 3");
  assert.deepEqual([pruned.removed.length, pruned.leftBytes], [1, 500]);
});

test("an agent that starts removes what is above its budget", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const open = backend.open.bind(backend);
  const left = new Map([kept("a", 10), kept("b", 30), kept("c", 20)].map((image) => [image.id, image]));
  backend.open = async (options) =>
    Object.assign(await open(options), {
      keptImages: { list: async () => [...left.values()], remove: async ({ id }: KeptImage) => left.delete(id) },
    });
  await fixture.start(backend, { settings: { imageBytesMax: 150 } });
  await until("two images are removed", () => left.size === 1);
  assert.deepEqual([...left.keys()], [idOf("a")]);
});
