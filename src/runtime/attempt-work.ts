import type {
  AttemptRef,
  AttemptSpec,
  BackendSession,
  Capabilities,
  Handle,
  Outcome,
} from "../backends/execution-backend.ts";
import type { Content } from "../protocol/artifacts.ts";
import type { EndSoFar, Phases } from "../protocol/events.ts";
import type { Fault } from "../protocol/faults.ts";
import type { MaskText } from "../protocol/mask-events.ts";
import type { OutputNotes } from "../protocol/output-notes.ts";
import type { Gather, OutputPlan, StepSecret } from "../protocol/plan.ts";
import type { Sealed } from "./adopt-file.ts";
import type { DiskWatch } from "./disk-watch.ts";

/** The seam between the agent, which decides what runs, and the runtime, which runs one attempt. All of it is JSON. */

/** One item of a gathered input: `key` is its folder entry, such as `000007` or `model=forest`. */
export interface GatheredItem {
  readonly key: string;
  readonly content: Content;
}

/** What is put under `in/<name>` before the step starts. */
export type StagedInput =
  | { readonly kind: "content"; readonly name: string; readonly content: Content }
  | {
      readonly kind: "gathered";
      readonly name: string;
      readonly gather: Exclude<Gather, "single">;
      readonly items: readonly GatheredItem[];
    }
  /** The part of a batch's input that one item works on, as `in/batch`; see stage-inputs.ts. */
  | { readonly kind: "batch-item"; readonly name: "batch"; readonly content: Content; readonly slice: BatchSlice };

/** One batch item's share of the input: deterministic, so that it can be computed again after a crash. */
export type BatchSlice =
  /** Bytes `[start, end)` of a file, after `header` (the CSV header line, or the opening of a JSON array). */
  | {
      readonly kind: "bytes";
      readonly prefix: string;
      readonly start: number;
      readonly end: number;
      readonly suffix: string;
    }
  /** These entries of a folder, by path. */
  | { readonly kind: "files"; readonly paths: readonly string[] };

export interface AttemptWork {
  readonly ref: AttemptRef;
  /** Complete but for what the backend adds; `spec.folder` is the attempt folder. */
  readonly spec: AttemptSpec;
  readonly inputs: readonly StagedInput[];
  readonly outputs: Readonly<Record<string, OutputPlan>>;
  /** The secrets that it needs, where it needs any. Their values are asked for when it starts, and kept nowhere. */
  readonly secrets?: readonly StepSecret[];
  /** How long user code may run; null is no limit. */
  readonly timeoutMs: number | null;
  /** How much it may write to the disk; null or left out for what its worker allows. */
  readonly diskBytes?: number | null;
  /** From TERM to KILL when the attempt is stopped. */
  readonly graceMs: number;
  /** What the image of the spec is known by everywhere; null without images. */
  readonly imageDigest: string | null;
  /** How the run had ended before; null for a step of its main phase. */
  readonly runEnd: EndSoFar | null;
}

/** Why an attempt is to stop: carried as the `reason` of the AbortSignal given to `runAttempt`. */
export type StopReason =
  /** Kill the step and report it cancelled; `fault` says by whom and why. */
  | { readonly kind: "cancel"; readonly reason: "user" | "fenced"; readonly fault: Fault | null }
  /** Leave the step running and return: the agent ends, another process re-attaches. */
  | { readonly kind: "detach" };

export interface AttemptResult {
  /** Already joined with what became of the outputs: a missing output turns exit 0 into a failure. */
  readonly outcome: Outcome;
  /** Collected outputs, in the blob cache; after a failure only those with `when: always`. */
  readonly outputs: Readonly<Record<string, Content>>;
  /** What there is to say of them beside their content. */
  readonly notes?: Readonly<Record<string, OutputNotes>>;
  readonly phases: Phases;
  /** For logs and release, which are the caller's; null when nothing was ever submitted. */
  readonly handle: Handle | null;
}

/** What the runtime needs of the world. */
export interface RuntimeContext {
  readonly session: BackendSession;
  /** Of that session, as its last probe said: decides for one whether inputs may share storage with the cache. */
  readonly capabilities: Capabilities;
  readonly cache: BlobSource;
  /** Holds attempts to what they may write; left out where a person runs a step by hand. */
  readonly disk?: DiskWatch;
  readonly limits: { readonly outputBytesMax: number; readonly outputEntriesMax: number };
  /** Takes secrets out of what the step, or its platform, says: nothing of a result is without it. */
  readonly mask: MaskText;
  /** Left out where no step needs any. */
  readonly secrets?: SecretSource;
}

/** Who has the values of secrets: the server, or whoever replays a step. */
export interface SecretSource {
  /** All that the work names, by name. Throws an AttemptFault where one is not to be had. */
  valuesFor(work: AttemptWork, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>>;
}

/** The worker's blobs: see blob-cache.ts. */
export interface BlobSource {
  /**
   * Makes sure that the blob is on this worker, fetching it if need be, and returns its path. Never written to. Null
   * for a size that is not known, such as a folder manifest's.
   */
  ensure(digest: string, size: number | null, signal?: AbortSignal): Promise<string>;
  /** Fetches those of these blobs that are missing and small, many at once; a hint, each is still to be ensured. */
  prefetch(blobs: readonly { readonly digest: string; readonly size: number }[], signal: AbortSignal): Promise<void>;
  /**
   * Takes a file over as the blob of this digest, which its bytes were just seen to have; returns the blob's path. The
   * file stays in its place, but may share storage with the blob. `sealed` is for a file that somebody else may
   * still have open: see Sealed.
   */
  adopt(file: string, digest: string, size: number, sealed?: Sealed): Promise<string>;
}
