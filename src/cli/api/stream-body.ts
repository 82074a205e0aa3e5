import { ServerUnreachable } from "./no-answer.ts";

/** A stream that is silent for this long, without even a keep-alive, is taken for dead. */
const SILENCE_MAX_MS = 45_000;

/**
 * The chunks of an answer. A connection that breaks, or dies without a word (a sleeping laptop, a lost route), throws
 * ServerUnreachable like a request that found nobody.
 */
export async function* streamBody(
  response: Response,
  signal: AbortSignal,
  silenceMaxMs: number = SILENCE_MAX_MS,
): AsyncGenerator<Uint8Array> {
  const reader = response.body!.getReader();
  try {
    while (true) {
      const { done, value } = await readWithin(reader, silenceMaxMs);
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ServerUnreachable(new URL(response.url).origin, error);
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function readWithin(reader: ReadableStreamDefaultReader<Uint8Array>, silenceMaxMs: number) {
  const { promise: silence, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`nothing came for ${silenceMaxMs / 1000} s`)), silenceMaxMs);
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
