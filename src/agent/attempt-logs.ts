import type { BackendSession, Handle } from "../backends/execution-backend.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import type { LogSource } from "./log-shipper.ts";
import { maskedLog } from "./masked-log.ts";

const STREAMS = ["stdout", "stderr"] as const;

/** The streams of one attempt, read from its backend, without the secrets in them. */
export function attemptLogs(
  session: BackendSession,
  handle: Handle,
  secrets: Pick<KnownSecrets, "masker">,
): LogSource[] {
  const { stepRun, attempt } = handle.ref;
  return STREAMS.map((stream) => {
    const read: LogSource["read"] = (offset, maxBytes) =>
      readUpTo(session.logs(handle, stream, { offset, follow: false }), maxBytes);
    return maskedLog({ stepRun, attempt, stream, read }, () => secrets.masker);
  });
}

async function readUpTo(bytes: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes);
}
