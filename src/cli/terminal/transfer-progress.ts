import { formatSize } from "../../std/format-size.ts";
import type { Console } from "./console.ts";
import { formatDuration } from "./format-duration.ts";

/** A line is drawn again at most this often. */
const REDRAW_INTERVAL_MS = 250;

/** One line on a terminal that says how far a transfer is, how fast, and how long it will take; nothing elsewhere. */
export class TransferProgress implements Disposable {
  readonly #console: Console;
  readonly #name: string;
  readonly #size: number;
  readonly #startedAtMs = performance.now();
  #from: number | null = null;
  #drawnAtMs = 0;

  constructor(console: Console, name: string, size: number) {
    this.#console = console;
    this.#name = name;
    this.#size = size;
  }

  update(bytes: number): void {
    this.#from ??= bytes;
    const nowMs = performance.now();
    if (!this.#console.notesOnTerminal || nowMs - this.#drawnAtMs < REDRAW_INTERVAL_MS) return;
    this.#drawnAtMs = nowMs;
    const line = progressLine(this.#name, this.#size, bytes, {
      moved: bytes - this.#from,
      elapsedMs: nowMs - this.#startedAtMs,
    });
    this.#console.writeNote(`\r\u001b[K${line.slice(0, this.#console.columns - 1)}`);
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    if (this.#drawnAtMs > 0) this.#console.writeNote("\r\u001b[K");
    this.#drawnAtMs = 0;
  }
}

export function progressLine(
  name: string,
  size: number,
  bytes: number,
  { moved, elapsedMs }: { readonly moved: number; readonly elapsedMs: number },
): string {
  const percent = Math.floor((bytes / size) * 100);
  const perSecond = elapsedMs > 0 ? (moved / elapsedMs) * 1000 : 0;
  const rate = perSecond > 0 ? `, ${formatSize(perSecond)}/s` : "";
  const left = perSecond > 0 ? `, ${formatDuration(((size - bytes) / perSecond) * 1000)} left` : "";
  return `${name}  ${formatSize(bytes)} of ${formatSize(size)} (${percent} %)${rate}${left}`;
}
