import { useEffect, useState } from "react";
import { type AskOptions, apiUrl, errorOf } from "../../api/client.ts";

/** The end of a log, of which nearly always all is wanted; older lines are in the whole log, which can be downloaded. */
const LINES_MAX = 20_000;
/** So often what arrived is drawn, however fast it comes. */
const DRAW_EVERY_MS = 100;
/** After a broken connection. */
const AGAIN_AFTER_MS = 2_000;

export interface Log {
  readonly lines: readonly string[];
  /** Of the first line here, in what was read. */
  readonly first: number;
  readonly isWhole: boolean;
  readonly error: unknown;
}

const NOTHING: Log = { lines: [], first: 1, isWhole: false, error: null };

/** Reads the end of a log and follows it while `isLive`. */
export function useLog(path: string, query: NonNullable<AskOptions["query"]>, isLive: boolean): Log {
  const [log, setLog] = useState(NOTHING);
  const url = apiUrl(path, { ...query, tail: LINES_MAX, ...(isLive ? { follow: "true" } : {}) });
  useEffect(() => {
    const stop = new AbortController();
    void followLog(url, stop.signal, setLog);
    return () => stop.abort();
  }, [url]);
  return log;
}

async function followLog(url: string, signal: AbortSignal, show: (log: Log) => void): Promise<void> {
  while (!signal.aborted) {
    const lines = new LastLines();
    const timer = setInterval(() => lines.changed && show(lines.take(false, null)), DRAW_EVERY_MS);
    try {
      const response = await fetch(url, { signal });
      if (!response.ok || response.body === null) throw await errorOf(response);
      const text = response.body.pipeThrough(new TextDecoderStream());
      for await (const chunk of text as unknown as AsyncIterable<string>) lines.add(chunk);
      show(lines.take(true, null));
      return;
    } catch (error) {
      if (signal.aborted) return;
      show(lines.take(false, error));
    } finally {
      clearInterval(timer);
    }
    // What was shown stays until more than that is there again.
    await new Promise((done) => setTimeout(done, AGAIN_AFTER_MS));
  }
}

/** The last lines of a text that arrives in pieces. */
class LastLines {
  #lines: string[] = [];
  #rest = "";
  #first = 1;
  changed = false;

  add(chunk: string): void {
    const pieces = (this.#rest + chunk).split("\n");
    this.#rest = pieces.pop() ?? "";
    this.#lines.push(...pieces);
    const over = this.#lines.length - LINES_MAX;
    if (over > 0) {
      this.#lines = this.#lines.slice(over);
      this.#first += over;
    }
    this.changed = true;
  }

  take(isWhole: boolean, error: unknown): Log {
    this.changed = false;
    const lines = this.#rest === "" ? [...this.#lines] : [...this.#lines, this.#rest];
    return { lines, first: this.#first, isWhole, error };
  }
}
