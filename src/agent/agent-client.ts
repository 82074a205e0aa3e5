import type { KeyObject } from "node:crypto";
import type { Readable } from "node:stream";
import type { z } from "zod";
import {
  BlobStored,
  type BootRequest,
  BootResponse,
  type EventsRequest,
  EventsResponse,
  type HeartbeatRequest,
  HeartbeatResponse,
  type LeaseRef,
  LOGS_CONTENT_TYPE,
  LogsResponse,
  MissingBlobsResponse,
  type PollRequest,
  PollResponse,
} from "../protocol/agent-api.ts";
import {
  BLOB_BATCH_CONTENT_TYPE,
  BlobBatchStored,
  type BlobWithBytes,
  decodeBlobBatch,
  encodeBlobBatch,
} from "../protocol/blob-batch.ts";
import { CacheAnswer, type CacheHit, type CacheLookup } from "../protocol/cache.ts";
import { BerthError } from "../protocol/errors.ts";
import { type MessagesRequest, MessagesResponse } from "../protocol/messages.ts";
import { type RegistriesRequest, RegistriesResponse } from "../protocol/registries.ts";
import { type StepSecretsRequest, StepSecretsResponse } from "../protocol/secrets.ts";
import { contentDigest, signatureHeaders, UNSIGNED_PAYLOAD } from "../protocol/signature.ts";
import {
  type BeginUpload,
  BlobPlace,
  type DirectRequest,
  PartRequestsAnswer,
  type PartToSend,
  UploadOffset,
  UploadState,
} from "../protocol/transfers.ts";
import type { TlsTrust } from "../std/tls-trust.ts";
import { answerError, noAnswer, unexpectedAnswer } from "./answer-error.ts";
import {
  type ConnectionPool,
  connectionPool,
  type Deadlines,
  type HttpAnswer,
  type HttpRequest,
  readBody,
  sendRequest,
} from "./http-request.ts";
import { ServerClock } from "./server-clock.ts";

export interface ClientOptions {
  readonly server: string;
  readonly workerId: string;
  readonly bootId: string;
  readonly privateKey: KeyObject;
  /** By what the server is known over TLS; without it, by what Node trusts. */
  readonly trust?: TlsTrust | undefined;
}

/** Small requests and small answers. */
export const QUICK: Deadlines = { connectMs: 5_000, idleMs: 10_000, totalMs: 15_000 };
/** A request whose work on the server takes a moment: a batch of commits, a megabyte of log. */
const PATIENT: Deadlines = { connectMs: 5_000, idleMs: 20_000, totalMs: 60_000 };
/** Blobs have no total deadline worth naming: any size at any speed, as long as bytes flow. */
const TRANSFER: Deadlines = { connectMs: 5_000, idleMs: 30_000, totalMs: 24 * 60 * 60 * 1000 };
/** The server may have to read all of a large blob before it answers; asked again, it is the same check. */
const CHECK: Deadlines = { connectMs: 5_000, idleMs: 10 * 60_000, totalMs: 60 * 60_000 };
/** How much later than asked a poll may be answered. */
const POLL_SLACK_MS = 10_000;

const JSON_TYPE = "application/json";

/** Everything an agent says to the server, each request signed, one try each: see retry.ts for more. */
export class AgentClient implements Disposable {
  readonly clock = new ServerClock();
  readonly #options: ClientOptions;
  readonly #base: URL;
  readonly #pool: ConnectionPool;
  /** Of their own: many slow transfers must not keep reports, logs and polls waiting for a connection. */
  readonly #transfers: ConnectionPool;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#base = new URL("api/v1/agent/", options.server.endsWith("/") ? options.server : `${options.server}/`);
    this.#pool = connectionPool(this.#base, options.trust);
    this.#transfers = connectionPool(this.#base, options.trust);
  }

  boot(request: BootRequest, signal?: AbortSignal): Promise<BootResponse> {
    return this.#json("boot", request, BootResponse, PATIENT, signal);
  }

  heartbeat(request: HeartbeatRequest, signal?: AbortSignal): Promise<HeartbeatResponse> {
    return this.#json("heartbeat", request, HeartbeatResponse, QUICK, signal);
  }

  poll(request: PollRequest, signal?: AbortSignal): Promise<PollResponse> {
    const limitMs = request.waitMs + POLL_SLACK_MS;
    const deadlines = { connectMs: QUICK.connectMs, idleMs: limitMs, totalMs: limitMs };
    return this.#json("poll", request, PollResponse, deadlines, signal);
  }

  sendEvents(run: string, request: EventsRequest, signal?: AbortSignal): Promise<EventsResponse> {
    return this.#json(`runs/${run}/events`, request, EventsResponse, PATIENT, signal);
  }

  /** `body` is a compressed log batch: see log-batch.ts. */
  async sendLogs(run: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    const request = this.#signed(
      "POST",
      `runs/${run}/logs`,
      body,
      { "content-type": LOGS_CONTENT_TYPE },
      PATIENT,
      signal,
    );
    await this.#answer(request, LogsResponse);
  }

  sendMessages(run: string, request: MessagesRequest, signal?: AbortSignal): Promise<MessagesResponse> {
    return this.#json(`runs/${run}/messages`, request, MessagesResponse, PATIENT, signal);
  }

  async missingBlobs(run: string, epoch: number, digests: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const body = { epoch, digests };
    return (await this.#json(`runs/${run}/blobs/missing`, body, MissingBlobsResponse, PATIENT, signal)).missing;
  }

  /** In the order of the lookups. */
  async findCached(
    { run, epoch }: LeaseRef,
    lookups: readonly CacheLookup[],
    signal?: AbortSignal,
  ): Promise<(CacheHit | null)[]> {
    return (await this.#json(`runs/${run}/cache`, { epoch, lookups }, CacheAnswer, PATIENT, signal)).hits;
  }

  /** For the registries of an environment, in a box for `recipient`. */
  async registryLogins(run: string, request: RegistriesRequest, signal?: AbortSignal): Promise<Buffer> {
    const { sealed } = await this.#json(`runs/${run}/registries`, request, RegistriesResponse, QUICK, signal);
    return Buffer.from(sealed, "base64");
  }

  /** Of the step of an attempt, in a box for `recipient`: see sealed-box.ts. */
  async stepSecrets(run: string, request: StepSecretsRequest, signal?: AbortSignal): Promise<Buffer> {
    const { sealed } = await this.#json(`runs/${run}/secrets`, request, StepSecretsResponse, QUICK, signal);
    return Buffer.from(sealed, "base64");
  }

  async putBlob(run: string, epoch: number, blob: BlobUpload, signal?: AbortSignal): Promise<void> {
    const path = `runs/${run}/blobs/${blob.digest}?epoch=${epoch}`;
    const headers = { "content-type": "application/octet-stream", "content-length": blob.size };
    await this.#answer(this.#signed("PUT", path, blob.bytes, headers, TRANSFER, signal), BlobStored);
  }

  beginUpload(run: string, epoch: number, upload: BeginUpload, signal?: AbortSignal): Promise<UploadState> {
    return this.#json(`runs/${run}/uploads`, { epoch, ...upload }, UploadState, PATIENT, signal);
  }

  /** Returns where the upload is after it. */
  async appendUpload(
    run: string,
    epoch: number,
    { upload, offset, length, bytes }: BytesToAppend,
    signal?: AbortSignal,
  ): Promise<number> {
    const path = `runs/${run}/uploads/${upload}?epoch=${epoch}&offset=${offset}`;
    const headers = { "content-type": "application/octet-stream", "content-length": length };
    return (await this.#answer(this.#signed("PUT", path, bytes, headers, TRANSFER, signal), UploadOffset)).offset;
  }

  /** A request that the object store itself answers. */
  async partRequest(
    run: string,
    epoch: number,
    upload: string,
    part: PartToSend,
    signal?: AbortSignal,
  ): Promise<DirectRequest> {
    const path = `runs/${run}/uploads/${upload}/parts`;
    return (await this.#json(path, { epoch, parts: [part] }, PartRequestsAnswer, PATIENT, signal)).parts[0]!.request;
  }

  async finishUpload(
    run: string,
    epoch: number,
    upload: string,
    parts: readonly PartToSend[],
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#json(`runs/${run}/uploads/${upload}/finish`, { epoch, parts }, BlobStored, CHECK, signal);
  }

  async blobPlace(run: string, epoch: number, digest: string, signal?: AbortSignal): Promise<BlobPlace> {
    const request = this.#signed(
      "GET",
      `runs/${run}/blobs/${digest}/place?epoch=${epoch}`,
      undefined,
      {},
      QUICK,
      signal,
    );
    return await this.#answer(request, BlobPlace);
  }

  /** Stores many small blobs in one request: see blob-batch.ts. */
  async putBlobs(run: string, epoch: number, blobs: readonly BlobWithBytes[], signal?: AbortSignal): Promise<void> {
    const headers = { "content-type": BLOB_BATCH_CONTENT_TYPE };
    const body = encodeBlobBatch(blobs);
    const path = `runs/${run}/blobs?epoch=${epoch}`;
    await this.#answer(this.#signed("POST", path, body, headers, PATIENT, signal), BlobBatchStored);
  }

  /** Some or all of these blobs, if they are small; the caller checks their digests and asks for the others alone. */
  async getBlobs(
    run: string,
    epoch: number,
    digests: readonly string[],
    signal?: AbortSignal,
  ): Promise<BlobWithBytes[]> {
    const headers = { "content-type": JSON_TYPE, accept: BLOB_BATCH_CONTENT_TYPE };
    const body = JSON.stringify({ epoch, digests });
    const request = this.#signed("POST", `runs/${run}/blobs/read`, body, headers, PATIENT, signal);
    const answer = await this.#send(request);
    const batch = await readBody(request, answer).catch((error: unknown) => {
      throw noAnswer(error);
    });
    if (answer.status !== 200) throw answerError(request, answer, batch);
    try {
      return decodeBlobBatch(batch);
    } catch (error) {
      throw unexpectedAnswer(request, answer, error as Error);
    }
  }

  /** Opens a blob for reading from `offset` on; the caller checks the digest of what arrives. */
  async getBlob(run: string, epoch: number, digest: string, offset: number, signal?: AbortSignal): Promise<Readable> {
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const request = this.#signed(
      "GET",
      `runs/${run}/blobs/${digest}?epoch=${epoch}`,
      undefined,
      headers,
      TRANSFER,
      signal,
    );
    const answer = await this.#send(request);
    if (answer.status === (offset === 0 ? 200 : 206)) return answer.body;
    const body = await readBody(request, answer);
    throw answer.status < 300
      ? unexpectedAnswer(request, answer, new Error("not the range"))
      : answerError(request, answer, body);
  }

  [Symbol.dispose](): void {
    this.#pool.destroy();
    this.#transfers.destroy();
  }

  #json<T>(path: string, body: unknown, schema: z.ZodType<T>, deadlines: Deadlines, signal?: AbortSignal): Promise<T> {
    const headers = { "content-type": JSON_TYPE };
    return this.#answer(this.#signed("POST", path, JSON.stringify(body), headers, deadlines, signal), schema);
  }

  #signed(
    method: string,
    path: string,
    body: Uint8Array | string | Readable | undefined,
    headers: Record<string, string | number>,
    deadlines: Deadlines,
    signal?: AbortSignal,
  ): HttpRequest {
    const url = new URL(path, this.#base);
    const whole = body === undefined || typeof body === "string" || body instanceof Uint8Array;
    const proof = signatureHeaders(
      {
        method,
        target: url.pathname + url.search,
        contentDigest: whole ? contentDigest(body ?? "") : UNSIGNED_PAYLOAD,
        bootId: this.#options.bootId,
        created: this.clock.nowSeconds(),
        workerId: this.#options.workerId,
      },
      this.#options.privateKey,
    );
    const length = whole && body !== undefined ? { "content-length": Buffer.byteLength(body) } : {};
    return {
      method,
      url,
      headers: { accept: JSON_TYPE, ...length, ...headers, ...proof },
      deadlines,
      signal,
      ...(body === undefined ? {} : { body }),
    };
  }

  async #send(request: HttpRequest): Promise<HttpAnswer> {
    const isTransfer = request.deadlines === TRANSFER || request.deadlines === CHECK;
    const answer = await sendRequest(isTransfer ? this.#transfers : this.#pool, request).catch((error: unknown) => {
      throw noAnswer(error);
    });
    this.clock.learn(answer.headers);
    return answer;
  }

  async #answer<T>(request: HttpRequest, schema: z.ZodType<T>): Promise<T> {
    const answer = await this.#send(request);
    const body = await readBody(request, answer).catch((error: unknown) => {
      throw noAnswer(error);
    });
    if (answer.status < 200 || answer.status > 299) throw answerError(request, answer, body);
    const parsed = schema.safeParse(parseJson(body));
    if (!parsed.success) throw unexpectedAnswer(request, answer, parsed.error);
    return parsed.data;
  }
}

export interface BytesToAppend {
  readonly upload: string;
  readonly offset: number;
  readonly length: number;
  readonly bytes: Readable;
}

export interface BlobUpload {
  readonly digest: string;
  readonly size: number;
  readonly bytes: Readable | Uint8Array;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw new BerthError("unavailable", "the answer is not JSON", { cause: error });
  }
}
