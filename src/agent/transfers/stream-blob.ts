import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { LeaseRef } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { AgentClient } from "../agent-client.ts";
import { backoffMs, retrying } from "../retry.ts";

/** Answers in a row that brought no byte, over about a minute: then the stored bytes end there, not the connection. */
const EMPTY_ANSWERS_MAX = 20;

export interface StreamBlobOptions {
  readonly lease: LeaseRef;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Before the try after so many failures. */
  readonly pauseMs?: (failures: number) => number;
}

/**
 * Streams a blob from byte `from` on through the server, however often the connection breaks on the way. A server that
 * is away is waited for; one that answers again and again without a byte has no more of the blob.
 */
export async function* streamBlob(
  client: AgentClient,
  digest: string,
  from: number,
  { lease, signal, log, pauseMs = backoffMs }: StreamBlobOptions,
): AsyncGenerator<Uint8Array> {
  const { run, epoch } = lease;
  const what = "fetching an input";
  let received = from;
  for (let failures = 0; ; ) {
    const bytes = await retrying({ what, signal, log }, () => client.getBlob(run, epoch, digest, received, signal));
    try {
      for await (const chunk of bytes as AsyncIterable<Buffer>) {
        received += chunk.length;
        failures = 0;
        yield chunk;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      if (failures > EMPTY_ANSWERS_MAX) throw endsEarly(digest, received, error);
      // The first time, and then now and then: what always breaks at the same byte must not fill the disk with its log.
      if (failures % 10 === 1) {
        const reason = error instanceof Error ? error.message : String(error);
        log.warn({ reason, digest, received, failures }, `${what}: going on where the connection broke`);
      }
      if (failures > 1) await sleep(pauseMs(failures - 1), undefined, { signal });
    }
  }
}

function endsEarly(digest: string, received: number, cause: unknown): BerthError {
  return new BerthError("digest_mismatch", `No more of the blob ${digest} comes than its first ${received} bytes.`, {
    advice: "The stored blob is damaged, or something between server and worker cuts what it carries.",
    cause,
  });
}
