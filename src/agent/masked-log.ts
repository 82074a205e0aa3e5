import { type SecretMasker, starred } from "../std/secret-masker.ts";
import type { LogSource } from "./log-shipper.ts";

/**
 * A log with an asterisk for each byte of a secret. Logs are addressed by the offsets of their bytes, in the step's file as on
 * the server, and a byte that the server has is not sent again: a mask of another length would shift all that follows, by an
 * amount that a restarted agent could not know. So the length of a secret can be told from a log, and nothing else of it.
 *
 * Nothing is kept between reads. What stands before `offset` is read once more, as much as the longest form of a secret has;
 * what may be the beginning of a secret is left for the next read, until the stream has ended.
 */
export function maskedLog(source: LogSource, masker: () => SecretMasker): LogSource {
  const { stepRun, attempt, stream } = source;
  const read: LogSource["read"] = async (offset, maxBytes, hasEnded) => {
    const now = masker();
    if (now.isEmpty) return source.read(offset, maxBytes, hasEnded);
    const before = Math.min(offset, now.longest - 1);
    // Whatever begins at `offset` can be told from this, unless it is not written yet.
    const wanted = before + Math.max(maxBytes, now.longest);
    const bytes = await source.read(offset - before, wanted, hasEnded);
    const { covered, open } = now.find(bytes);
    if (open > before) return starred(bytes, covered).subarray(before, Math.min(open, before + maxBytes));
    return hasEnded ? starred(bytes, now.findLast(bytes)).subarray(before, before + maxBytes) : Buffer.alloc(0);
  };
  return { stepRun, attempt, stream, read };
}
