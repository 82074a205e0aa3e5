/** One line of what the engine says while it pulls. */
export interface PullLine {
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Often enough to see that it moves, seldom enough to be read. */
const SHOWN_EVERY_MS = 3_000;
const MIB = 1024 * 1024;

/**
 * What people get to read of a pull: each step of each layer, and in place of its bars, which repeat many times a second,
 * now and then how far all layers are together.
 */
export class PullProgress {
  readonly #layers = new Map<string, { readonly current: number; readonly total: number }>();
  readonly #now: () => number;
  #shownAt: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#shownAt = now();
  }

  /** Null where there is nothing to say. */
  read({ status, id, progress, progressDetail }: PullLine): string | null {
    if (status === undefined) return null;
    if (progress === undefined) {
      const layer = id === undefined ? undefined : this.#layers.get(id);
      if (id !== undefined && layer !== undefined && /^(Download|Pull) complete/.test(status)) {
        this.#layers.set(id, { ...layer, current: layer.total });
      }
      return `${id === undefined ? "" : `${id}: `}${status}\n`;
    }
    if (status !== "Downloading" || id === undefined || progressDetail?.total === undefined) return null;
    this.#layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total });
    const now = this.#now();
    if (now - this.#shownAt < SHOWN_EVERY_MS) return null;
    this.#shownAt = now;
    const layers = [...this.#layers.values()];
    const sum = (part: "current" | "total") => layers.reduce((bytes, layer) => bytes + layer[part], 0) / MIB;
    return `Downloaded ${sum("current").toFixed(0)} of ${sum("total").toFixed(0)} MiB in ${layers.length} layers.\n`;
  }
}
