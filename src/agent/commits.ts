import { type Content, INLINE_BLOB_MAX_BYTES } from "../protocol/artifacts.ts";

/** What the end of an attempt depends on before the server can accept it. */
export interface CommitNeeds {
  readonly stepRun: string;
  /** Step runs whose outputs this one read. */
  readonly reads: Iterable<string>;
  readonly outputs: readonly Content[];
}

/**
 * Puts the ends of attempts in an order in which the server can accept them: an end is reported once its blobs are
 * stored, and after those of everything it read. Nothing else waits: the next step runs meanwhile on this worker, and
 * ends that depend on no upload are reported at once.
 */
export class Commits {
  readonly #upload: (outputs: readonly Content[]) => Promise<void>;
  readonly #onFailure: (error: unknown) => void;
  readonly #pending = new Map<string, Promise<void>>();

  constructor(options: {
    upload(outputs: readonly Content[]): Promise<void>;
    /** An upload was refused for good, or nothing may be sent any more. */
    onFailure(error: unknown): void;
  }) {
    this.#upload = options.upload;
    this.#onFailure = options.onFailure;
  }

  /** Whether nothing is on its way: every end so far was reported. */
  get isIdle(): boolean {
    return this.#pending.size === 0;
  }

  /** Whether an end can be reported right now. */
  isReady({ reads, outputs }: CommitNeeds): boolean {
    return outputs.every(isInline) && this.#pendingAmong(reads).length === 0;
  }

  /** Calls `report` once, when everything that the end depends on is with the server or on its way before it. */
  reportWhenReady(needs: CommitNeeds, report: () => Promise<void>): void {
    const uploads = this.#upload(needs.outputs.filter((content) => !isInline(content)));
    const done = Promise.all([uploads, ...this.#pendingAmong(needs.reads)]).then(report);
    this.#pending.set(needs.stepRun, done);
    // After a failure it stays pending: what read it must not be reported either.
    done.then(() => this.#pending.delete(needs.stepRun), this.#onFailure);
  }

  /** Resolves when the ends of these step runs were reported. */
  async reported(stepRuns: Iterable<string>): Promise<void> {
    await Promise.all(this.#pendingAmong(stepRuns));
  }

  /** Resolves when everything was reported that was handed in so far; rejects when some of it cannot be. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending.values());
  }

  #pendingAmong(reads: Iterable<string>): Promise<void>[] {
    const pending: Promise<void>[] = [];
    if (this.#pending.size === 0) return pending;
    for (const stepRun of reads) {
      const commit = this.#pending.get(stepRun);
      if (commit !== undefined) pending.push(commit);
    }
    return pending;
  }
}

/** Whether a blob travels inside its event. */
export function isInline(content: Content): boolean {
  return content.kind === "file" && content.size <= INLINE_BLOB_MAX_BYTES;
}
