import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { LeaseRef } from "../../protocol/agent-api.ts";
import type { AgentClient } from "../agent-client.ts";
import { backoffMs, retrying } from "../retry.ts";

/** Streams a blob from byte `from` on through the server, however often the connection breaks on the way. */
export async function* streamBlob(
  client: AgentClient,
  digest: string,
  from: number,
  { lease, signal, log }: { readonly lease: LeaseRef; readonly signal: AbortSignal; readonly log: Logger },
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
      // The first time, and then now and then: what always breaks at the same byte must not fill the disk with its log.
      if (failures % 10 === 1) {
        const reason = error instanceof Error ? error.message : String(error);
        log.warn({ reason, digest, received, failures }, `${what}: going on where the connection broke`);
      }
      if (failures > 1) await sleep(backoffMs(failures - 1), undefined, { signal });
    }
  }
}
