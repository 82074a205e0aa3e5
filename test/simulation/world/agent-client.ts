import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { AgentClient as RealAgentClient } from "../../../src/agent/agent-client.ts";
import type {
  BootRequest,
  EventsRequest,
  HeartbeatRequest,
  LeaseRef,
  PollRequest,
} from "../../../src/protocol/agent-api.ts";
import type { BlobWithBytes } from "../../../src/protocol/blob-batch.ts";
import type { CacheLookup } from "../../../src/protocol/cache.ts";
import type { MessagesRequest } from "../../../src/protocol/messages.ts";
import type { Network } from "../network.ts";
import type { ServerApi } from "../server-api.ts";
import { currentProcess } from "./virtual-time.ts";

/** The real client's deadlines: see src/agent/agent-client.ts. */
const QUICK_MS = 15_000;
const PATIENT_MS = 60_000;
const POLL_SLACK_MS = 10_000;

export interface AgentIdentity {
  readonly workerId: string;
  readonly bootId: string;
}

let network: Network | null = null;

/** Everything that agents say goes through this. */
export function useNetwork(next: Network | null): void {
  network = next;
}

export function callFrom<M extends keyof ServerApi["agent"]>(
  { workerId, bootId }: AgentIdentity,
  method: M,
  args: Parameters<ServerApi["agent"][M]> extends [unknown, ...infer Rest] ? Rest : never,
  options: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Awaited<ReturnType<ServerApi["agent"][M]>>> {
  const from = currentProcess();
  if (network === null || from === undefined) throw new Error("a request came from outside of the simulation");
  return network.call({ from, poller: { worker: workerId, boot: bootId }, method, args, ...options });
}

type Public<T> = { [K in keyof T]: T[K] };

/** Stands for the agent's client: the same methods, on the simulated network. Nothing is signed, as nobody lies. */
export class AgentClient implements Omit<Public<RealAgentClient>, "clock" | typeof Symbol.dispose> {
  readonly #identity: AgentIdentity;

  constructor(identity: AgentIdentity) {
    this.#identity = identity;
  }

  boot(request: BootRequest, signal?: AbortSignal) {
    return callFrom(this.#identity, "boot", [request], { deadlineMs: PATIENT_MS, signal });
  }

  heartbeat(request: HeartbeatRequest, signal?: AbortSignal) {
    return callFrom(this.#identity, "heartbeat", [request], { deadlineMs: QUICK_MS, signal });
  }

  poll(request: PollRequest, signal?: AbortSignal) {
    return callFrom(this.#identity, "poll", [request], { deadlineMs: request.waitMs + POLL_SLACK_MS, signal });
  }

  sendEvents(run: string, request: EventsRequest, signal?: AbortSignal) {
    return callFrom(this.#identity, "events", [run, request], { deadlineMs: PATIENT_MS, signal });
  }

  async sendLogs(run: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    await callFrom(this.#identity, "logs", [run, Buffer.from(body)], { deadlineMs: PATIENT_MS, signal });
  }

  sendMessages(run: string, request: MessagesRequest, signal?: AbortSignal) {
    return callFrom(this.#identity, "messages", [run, request], { deadlineMs: PATIENT_MS, signal });
  }

  missingBlobs(run: string, epoch: number, digests: readonly string[], signal?: AbortSignal) {
    return callFrom(this.#identity, "missingBlobs", [run, epoch, digests], { deadlineMs: PATIENT_MS, signal });
  }

  findCached({ run, epoch }: LeaseRef, lookups: readonly CacheLookup[], signal?: AbortSignal) {
    return callFrom(this.#identity, "findCached", [run, epoch, lookups], { deadlineMs: PATIENT_MS, signal });
  }

  async putBlob(
    run: string,
    epoch: number,
    blob: { readonly digest: string; readonly bytes: Readable | Uint8Array },
    signal?: AbortSignal,
  ): Promise<void> {
    const bytes = blob.bytes instanceof Readable ? await buffer(blob.bytes) : Buffer.from(blob.bytes);
    await callFrom(this.#identity, "putBlob", [run, epoch, blob.digest, bytes], { deadlineMs: PATIENT_MS, signal });
  }

  /** One after another: what becomes of requests is what is simulated, not how many there are. */
  async putBlobs(run: string, epoch: number, blobs: readonly BlobWithBytes[], signal?: AbortSignal): Promise<void> {
    for (const blob of blobs) await this.putBlob(run, epoch, blob, signal);
  }

  /** Leaves all of them out, so that each is asked for alone. */
  async getBlobs(): Promise<BlobWithBytes[]> {
    return [];
  }

  async getBlob(run: string, epoch: number, digest: string, offset: number, signal?: AbortSignal): Promise<Readable> {
    const bytes = await callFrom(this.#identity, "getBlob", [run, epoch, digest], { deadlineMs: PATIENT_MS, signal });
    return Readable.from([bytes.subarray(offset)]);
  }

  /** From UPLOAD_MIN_BYTES on blobs take several requests: those of the simulation are small. */
  beginUpload(): Promise<never> {
    throw tooLarge();
  }

  appendUpload(): Promise<never> {
    throw tooLarge();
  }

  partRequest(): Promise<never> {
    throw tooLarge();
  }

  finishUpload(): Promise<never> {
    throw tooLarge();
  }

  blobPlace(): Promise<never> {
    throw tooLarge();
  }

  registryLogins(): Promise<never> {
    throw new Error("the simulation pulls no images");
  }

  stepSecrets(): Promise<never> {
    throw new Error("the simulation's steps name no secrets");
  }

  [Symbol.dispose](): void {}
}

function tooLarge(): Error {
  return new Error("the simulation has no blobs of several requests");
}
