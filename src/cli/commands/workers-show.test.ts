import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { newId } from "../../protocol/ids.ts";
import type { WorkerSummary } from "../../protocol/resources.ts";
import { runCaptured } from "../testing/run-captured.ts";
import { hitRatio } from "./workers-show.ts";

const WORKER: WorkerSummary = {
  ...{ id: newId("worker"), name: "forge-1", type: "custom", pool: "default", labels: ["linux"], state: "online" },
  ...{ agentVersion: "1.0.0", os: "linux", arch: "x64", cpus: 4, memoryBytes: 2 ** 33, gpus: [] },
  ...{ diskFreeBytes: 2 ** 36, diskNeededBytes: 2 ** 31, backends: ["docker"], slots: 4, held: 1 },
  ...{ registeredAt: new Date().toISOString(), lastSeenAt: new Date().toISOString() },
  policy: null,
  cache: {
    ...{ budgetBytes: 20 * 2 ** 30, usedBytes: 2 ** 30, blobs: 12, hits: 30, misses: 10 },
    ...{ hitBytes: 3 * 2 ** 20, fetchedBytes: 2 ** 20, evictions: 2, evictedBytes: 2 ** 10 },
  },
};

async function serving(t: TestContext, body: object): Promise<NodeJS.ProcessEnv> {
  const http = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => http.close());
  return { BERTH_SERVER: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, BERTH_TOKEN: "brt_x" };
}

test("a worker is shown with how its cache does", async (t) => {
  const { exitCode, stdout } = await runCaptured(["workers", "show", "forge-1"], await serving(t, WORKER));
  assert.equal(exitCode, 0);
  assert.match(stdout, /^cache: +1\.0 GiB of 20\.0 GiB, 12 blobs$/m);
  assert.match(stdout, /^inputs: +75 % from here \(30, 3\.0 MiB\), fetched 10 \(1\.0 MiB\)$/m);
  assert.match(stdout, /^evicted: +2 \(1\.0 KiB\)$/m);
  const json = await runCaptured(["workers", "show", "forge-1", "--json"], await serving(t, WORKER));
  assert.deepEqual(JSON.parse(json.stdout), WORKER);
});

test("workers are listed with what their caches hold and how often they help; older agents say nothing of it", async (t) => {
  const items = [WORKER, { ...WORKER, name: "old", cache: null }];
  const { stdout } = await runCaptured(["workers"], await serving(t, { items, next: null }));
  assert.match(stdout, /forge-1 .*1\.0 GiB, 75 % hits/);
  assert.match(stdout, /old .*8\.0 GiB +- +docker/);
});

test("a ratio of nothing is none, and one is only whole when nothing was fetched", () => {
  assert.equal(hitRatio({ hits: 0, misses: 0 }), null);
  assert.equal(hitRatio({ hits: 999, misses: 1 }), "99 %");
  assert.equal(hitRatio({ hits: 5, misses: 0 }), "100 %");
});

test("a worker's own policy is shown in short, with the digest of its file", async (t) => {
  const policy = { digest: "ab".repeat(32), summary: ["forbidden: network", "at most: memory 2GiB"] };
  const { stdout } = await runCaptured(["workers", "show", "forge-1"], await serving(t, { ...WORKER, policy }));
  assert.match(stdout, /^policy: +sha256:abababababab\n {13}forbidden: network\n {13}at most: memory 2GiB$/m);
});
