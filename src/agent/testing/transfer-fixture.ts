import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Logger, pino } from "pino";
import { submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testServer, testWorker } from "../../../test/setup/server.ts";
import { type TransferProxy, transferProxy } from "../../../test/setup/transfer-proxy.ts";
import type { LeaseRef } from "../../protocol/agent-api.ts";
import { BlobCache } from "../../runtime/blob-cache.ts";
import type { LocalFile } from "../../runtime/upload-through-server.ts";
import { allRoutes } from "../../server/http/routes.ts";
import type { ObjectTiers } from "../../server/objects/object-tiers.ts";
import { AgentClient } from "../agent-client.ts";
import { Transfers } from "../transfers/transfers.ts";

const MiB = 1024 * 1024;

/** An agent's transfers, and the real server that they go to, with a proxy in between. */
export interface TransferWorld {
  readonly server: TestServer;
  readonly proxy: TransferProxy;
  readonly folder: string;
  /** Warnings of the agent, as JSON lines. */
  readonly warnings: string[];
  /** Whatever agent and server have logged, at the finest level. */
  readonly logged: string[];
  agent(): Promise<TestAgent>;
  file(size?: number): LocalFile & { readonly bytes: Buffer };
}

export interface TestAgent {
  readonly lease: LeaseRef;
  readonly client: AgentClient;
  send(file: LocalFile, signal?: AbortSignal): Promise<void>;
  /** Fetches into a cache of this name. */
  fetch(file: LocalFile, cache?: string, signal?: AbortSignal): Promise<string>;
  /** Another process of the same worker. */
  again(): TestAgent;
}

export async function transferWorld(
  t: TestContext,
  objects: ObjectTiers,
  more: { readonly directExpiresMs?: number } = {},
): Promise<TransferWorld> {
  const folder = mkdtempSync(join(tmpdir(), "berth-transfers-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const proxy = await transferProxy(t, () => `http://127.0.0.1:${port}`);
  // Who was cut off or refused may have left a connection that the server would wait for.
  t.after(() => server.app.server.closeAllConnections());
  const logged: string[] = [];
  const server = await testServer(t, (services) => allRoutes(services, "test"), {
    ...{ objects, ...more },
    log: pino({ level: "trace", base: null }, { write: (line: string) => void logged.push(line) }),
  });
  await server.app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = server.app.server.address() as AddressInfo;
  const warnings: string[] = [];
  const write = (line: string) => {
    logged.push(line);
    if ((JSON.parse(line) as { level: number }).level >= pino.levels.values.warn!) warnings.push(line);
  };
  const log = pino({ level: "trace", base: null }, { write });
  let files = 0;
  return {
    ...{ server, proxy, folder, warnings, logged },
    agent: async () => {
      const worker = await testWorker(server);
      await submit(server);
      const { run, epoch } = (await takeRun(worker)).assignment;
      const { id: workerId, bootId, privateKey } = worker;
      return agentOf(t, { run, epoch }, { server: proxy.url, workerId, bootId, privateKey }, { folder, log });
    },
    file: (size = 20 * MiB + 12_345) => {
      const bytes = randomBytes(size);
      const path = join(folder, `file-${++files}`);
      writeFileSync(path, bytes);
      return { path, size, bytes, digest: createHash("sha256").update(bytes).digest("hex") };
    },
  };
}

function agentOf(
  t: TestContext,
  lease: LeaseRef,
  identity: ConstructorParameters<typeof AgentClient>[0],
  { folder, log }: { readonly folder: string; readonly log: Logger },
): TestAgent {
  const client = new AgentClient(identity);
  const transfers = new Transfers({ client, uploadsAtOnce: 4, partsAtOnce: 4, log });
  const closed = new AbortController();
  t.after(() => {
    closed.abort();
    transfers[Symbol.dispose]();
    client[Symbol.dispose]();
  });
  const during = (signal: AbortSignal | undefined) => ({
    ...{ lease, log },
    signal: signal === undefined ? closed.signal : AbortSignal.any([signal, closed.signal]),
  });
  return {
    ...{ lease, client },
    send: async (file, signal) => await transfers.send(file, during(signal)),
    fetch: async ({ digest, size }, name = "cache", signal = closed.signal) => {
      const cache = await BlobCache.open({ folder: join(folder, name), budgetBytes: 2 ** 40 });
      return await cache.sourceOf(transfers.fetcher(during(undefined))).ensure(digest, size, signal);
    },
    again: () => agentOf(t, lease, identity, { folder, log }),
  };
}
