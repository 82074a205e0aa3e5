import { createPrivateKey } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import type { HeartbeatRequest } from "../protocol/agent-api.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import { contentDigest, signatureHeaders } from "../protocol/signature.ts";
import type { HeartbeatOrder, HeartbeatReport, HeartbeatThreadData } from "./heartbeat-message.ts";
import { connectionPool, type HttpRequest, readBody, sendRequest } from "./http-request.ts";
import { ServerClock } from "./server-clock.ts";

/**
 * The thread that says "alive". It has its own event loop, connection and clock, so that a large journal, a slow disk
 * or a burst of steps on the main thread cannot cost a lease. It imports little: schemas are checked by the main thread.
 */
const data = workerData as HeartbeatThreadData;
const port = parentPort!;
const privateKey = createPrivateKey(data.privateKey);
const url = new URL("api/v1/agent/heartbeat", data.server.endsWith("/") ? data.server : `${data.server}/`);
const pool = connectionPool(url, data.trust);
const clock = new ServerClock();
const alive = new Int32Array(data.alive);

/**
 * A main thread that made no progress for this long is not coming back by itself. The heartbeat then stops too, so that
 * the server shows the worker as unreachable instead of trusting a ghost.
 */
const MAIN_STALL_MAX_MS = 120_000;
/** A heartbeat that is not answered is worth less than the next one. */
const DEADLINES = { connectMs: 3_000, idleMs: 5_000, totalMs: 8_000 };

let held = data.held;
let capabilities: HeartbeatRequest["capabilities"];
let lastCount = -1;
let lastProgressMs = performance.now();

port.on("message", (order: HeartbeatOrder) => {
  if (order.type === "held") held = order.held;
  else capabilities = order.capabilities;
});

function mainIsAlive(): boolean {
  const count = Atomics.load(alive, 0);
  if (count !== lastCount) lastProgressMs = performance.now();
  lastCount = count;
  return performance.now() - lastProgressMs < MAIN_STALL_MAX_MS;
}

async function beat(): Promise<HeartbeatReport> {
  const sentCapabilities = capabilities;
  const body = JSON.stringify({ held, ...(sentCapabilities === undefined ? {} : { capabilities: sentCapabilities }) });
  const proof = signatureHeaders(
    {
      method: "POST",
      target: url.pathname,
      contentDigest: contentDigest(body),
      bootId: data.bootId,
      created: clock.nowSeconds(),
      workerId: data.workerId,
    },
    privateKey,
  );
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...proof };
  const request: HttpRequest = { method: "POST", url, headers, body, deadlines: DEADLINES };
  const answer = await sendRequest(pool, request);
  clock.learn(answer.headers);
  const parsed = JSON.parse((await readBody(request, answer)).toString("utf8")) as {
    error?: { code?: ErrorCode; message?: string; advice?: string };
  };
  if (answer.status !== 200) {
    const { code = "unavailable", message = `status ${answer.status}`, advice } = parsed.error ?? {};
    return { type: "failure", code, message, ...(advice === undefined ? {} : { advice }) };
  }
  if (capabilities === sentCapabilities) capabilities = undefined;
  return { type: "answer", body: parsed };
}

async function beatAndReport(): Promise<void> {
  const report = await beat().catch(
    (error: Error): HeartbeatReport => ({ type: "failure", code: "unavailable", message: error.message }),
  );
  port.postMessage(report);
}

let beating = false;
setInterval(() => {
  if (beating || !mainIsAlive()) return;
  beating = true;
  void beatAndReport().finally(() => {
    beating = false;
  });
}, data.intervalMs);
