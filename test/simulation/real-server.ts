import { randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import type { Logger } from "pino";
import type { PollRequest } from "../../src/protocol/agent-api.ts";
import type { CancelFacts } from "../../src/protocol/cancel.ts";
import { BerthError } from "../../src/protocol/errors.ts";
import { CreateRunRequest } from "../../src/protocol/resources.ts";
import { localRing } from "../../src/server/keys/key-ring.ts";
import { appendLogs, unpackLogs } from "../../src/server/scheduling/append-logs.ts";
import { bootWorker } from "../../src/server/scheduling/boot.ts";
import { cancelRun } from "../../src/server/scheduling/cancel.ts";
import { answerPoll, type Poller } from "../../src/server/scheduling/claim.ts";
import { createRun } from "../../src/server/scheduling/create-run.ts";
import { enforceDeadlines } from "../../src/server/scheduling/deadlines.ts";
import { takeHeartbeat } from "../../src/server/scheduling/heartbeat.ts";
import { giveAllPlaces } from "../../src/server/scheduling/places.ts";
import { QuotaLedger } from "../../src/server/scheduling/quota-ledger.ts";
import { reap } from "../../src/server/scheduling/reap.ts";
import { recordEvents } from "../../src/server/scheduling/record-events.ts";
import { recordMessages } from "../../src/server/scheduling/record-messages.ts";
import { releaseUnheard } from "../../src/server/scheduling/release-unheard.ts";
import { ContractCache } from "../../src/server/scheduling/step-contracts.ts";
import { createSealer } from "../../src/server/sealer.ts";
import type { Services } from "../../src/server/services.ts";
import { findOffer } from "../../src/server/store/boots.ts";
import { findCached } from "../../src/server/store/cache.ts";
import { requireLease } from "../../src/server/store/leases.ts";
import { tieredBlobStore } from "../../src/server/store/tiered-blob-store.ts";
import { Uploads } from "../../src/server/store/uploads.ts";
import { insertWorker } from "../../src/server/store/workers.ts";
import { Permits } from "../../src/std/permits.ts";
import { noObjects } from "../setup/server.ts";
import { viewOf } from "./real-view.ts";
import type { ServerApi } from "./server-api.ts";
import type { SimulatedDatabase } from "./simulated-database.ts";

const SILENT = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} } as unknown as Logger;

/** What is simulated is small: it never reaches the object store. */
const NO_OBJECTS = noObjects("the simulation");

export interface RealServerOptions {
  readonly simulated: SimulatedDatabase;
  readonly project: string;
  readonly recoveryAfterMs: number;
  /** Runs one decision, alone, at the time of the simulation. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

/** The real decisions and the real SQL, on a real PostgreSQL whose clock is the simulation's. */
export function realServer({ simulated, project, recoveryAfterMs, alone }: RealServerOptions): ServerApi {
  const { database } = simulated;
  const blobs = tieredBlobStore(database, NO_OBJECTS);
  const wakeups = { notify: () => {} } as unknown as Services["wakeups"];
  const services: Services = {
    database,
    blobs,
    objects: NO_OBJECTS,
    uploads: new Uploads({ database, objects: NO_OBJECTS, log: SILENT }),
    quotas: new QuotaLedger(database),
    wakeups,
    log: SILENT,
    sealer: localRing(createSealer(randomBytes(32))),
    signer: null,
    login: null,
    installation: "sim",
    version: "0.0.0-test",
  };
  const contracts = new ContractCache();
  const claims = new Permits(1);
  const { pool } = database;
  /** As the route does, for a process that speaks for its worker. */
  const asCurrent = <T>(from: Poller, work: () => Promise<T>): Promise<T> =>
    alone(async () => {
      await findOffer(pool, from);
      return work();
    });
  const holder = ({ worker }: Poller, run: string, epoch: number) => ({ project, worker, run, epoch });
  const asHolder = <T>(from: Poller, run: string, epoch: number, work: () => Promise<T>): Promise<T> =>
    asCurrent(from, async () => {
      await requireLease(pool, holder(from, run, epoch));
      return work();
    });
  const poll = async (from: Poller, request: PollRequest) => {
    await releaseUnheard(services, from, request.held);
    // Which of several workers would be the better one is no matter of the simulation.
    return (await answerPoll({ ...services, claims }, from, await findOffer(pool, from), request, false)).answer;
  };
  return {
    agent: {
      boot: ({ worker }, request) => alone(() => bootWorker(services, worker, request)),
      heartbeat: (from, request) => asCurrent(from, () => takeHeartbeat(database, from, request)),
      poll: (from, request) => asCurrent(from, () => poll(from, request)),
      events: (from, run, { epoch, events }) =>
        asCurrent(from, async () => {
          const { ackedSeq, cancel } = await recordEvents(services, contracts, holder(from, run, epoch), events);
          return { ackedSeq, cancel };
        }),
      logs: (from, run, body) =>
        asCurrent(from, async () => {
          const { epoch, chunks } = await unpackLogs(body);
          return { accepted: await appendLogs(database, holder(from, run, epoch), chunks) };
        }),
      messages: (from, run, { epoch, ...said }) =>
        asCurrent(from, async () => ({ accepted: await recordMessages(database, holder(from, run, epoch), said) })),
      missingBlobs: (from, run, epoch, digests) => asHolder(from, run, epoch, () => blobs.missing(project, digests)),
      findCached: (from, run, epoch, lookups) =>
        asCurrent(from, async () => {
          const { pipelineId } = await requireLease(pool, holder(from, run, epoch));
          return findCached(pool, { project, pipelineId }, lookups);
        }),
      putBlob: (from, run, epoch, digest, bytes) =>
        asHolder(from, run, epoch, () => blobs.put(project, digest, bytes.length, bytes)),
      getBlob: (from, run, epoch, digest) =>
        asHolder(from, run, epoch, async () => {
          const blob = await blobs.open(project, digest);
          if (blob === null) throw new BerthError("not_found", `There is no blob ${digest}.`);
          return buffer(blob.stream);
        }),
    },
    pass: () =>
      alone(async () => {
        await reap(services, { recoveryAfterMs });
        await enforceDeadlines(services);
        await giveAllPlaces(services);
      }),
    addWorker: ({ id, name, slots }) =>
      alone(async () => {
        const capabilities = {
          os: "linux",
          arch: "x64",
          cpus: 2,
          memoryBytes: 1,
          diskFreeBytes: 1,
          gpus: [],
          backends: {},
        };
        const facts = { type: "local", labels: [], publicKey: id, agentVersion: "1", pool: "default" } as const;
        // Seeds share a database: their workers have the names of their own projects.
        await insertWorker(pool, { id, project, name, ...facts, capabilities: { ...capabilities, slots } });
      }),
    drain: (worker, draining) =>
      alone(async () => {
        await pool.query("UPDATE workers SET draining = $2 WHERE id = $1", [worker, draining]);
      }),
    submit: (pipeline) =>
      alone(() => createRun(services, { project, by: "simulation" }, CreateRunRequest.parse({ pipeline }))),
    cancel: (run: string, facts: CancelFacts) =>
      alone(async () => {
        await cancelRun(services, { project, run, facts }).catch((error: unknown) => {
          if (!(error instanceof BerthError && error.code === "conflict")) throw error;
        });
      }),
    lease: (run) =>
      alone(async () => {
        const { rows } = await pool.query("SELECT state, epoch, worker_id AS worker FROM runs WHERE id = $1", [run]);
        return rows[0];
      }),
    view: (run) => alone(() => viewOf(pool, run)),
  };
}
