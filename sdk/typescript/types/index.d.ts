/** The step did what it should, and the data or a rule is wrong: trying again would change nothing. */
export class BusinessError extends Error {
  constructor(message?: string, options?: ErrorOptions);
}

/** How far the step has come, shown while it runs: `progress(3, 10, "rows")`. */
export function progress(done: number | undefined, total?: number | undefined, message?: string | undefined): void;
/** What the step is at: `progress("loading")`. */
export function progress(message: string): void;

/** A measured value, kept with the attempt: `metric("auc", 0.93)`, or one of a series: `metric("loss", 0.1, { step: 4 })`. */
export function metric(name: string, value: number, options?: { readonly step?: number | undefined }): void;

/** What is to be known of an output beside its bytes. */
export interface OutputDescription {
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly schema?: Readonly<Record<string, unknown>>;
  readonly format?: string;
}
/** Says what an output is: `output("model", { tags: { stage: "trial" } })`. Saying more later adds to it. */
export function output(name: string, description: OutputDescription): void;

type LogLine = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Lines with a level and fields: `log.info("read", { rows: 3 })`. */
export const log: Readonly<Record<"debug" | "info" | "warning" | "error", LogLine>>;

/** The value of a secret that this step names in its `secrets:`, as text, just as it was set. */
export function secret(name: string): string;

/** The same as the bytes that it is. A secret that the step takes as a variable is in that alone. */
export function secretBytes(name: string): Uint8Array;

/** The path of an input: the file or the folder itself. Nothing is there if an optional output was left out. */
export function inputPath(name: string): string;

/** The path at which an output is to be written; the folder that it lies in is there. */
export function outputPath(name: string): string;

/** The same for every attempt of a step run, and for no other: hand it to services that the step writes to. */
export function idempotencyKey(): string;

/** All parameters of the run by name; empty outside of Berth. */
export function params(): Record<string, string | number | boolean>;

/** Of which run and step this process is an attempt; null outside of Berth. */
export function context(): {
  readonly pipeline: string;
  readonly runId: string;
  readonly runNumber: number;
  readonly step: string;
  readonly stepRun: string;
  readonly attempt: number;
} | null;

/** The part of a batch that a step run works on. */
export interface Batch {
  /** Its place, from 0, and how many parts there are. */
  readonly index: number;
  readonly count: number;
  /** A file of the same format as the whole, or a folder with its files. */
  readonly path: string;
  /** How the items are read: csv, json, lines or folder; null where only the step's own program knows. */
  readonly type: string | null;
  /** The rows, items or lines as a list; of a folder, the paths of its files. */
  items<Item = unknown>(type?: "csv" | "json" | "lines" | "folder"): Promise<Item[]>;
}
/** The part of a batch that this step run works on; null outside of one. */
export function batch(): Batch | null;

/** Reads a file or folder as a step would: `await load("rows.csv")`. Without a type, it is told by the ending. */
export function load<Value = unknown>(path: string, type?: string): Promise<Value>;
/** Writes one: `await save("rows.csv", rows)`. */
export function save(path: string, value: unknown, type?: string): Promise<void>;

/** How a type of your own is read from a path and written to it, as a file or a folder. All may be async. */
export interface OwnType<Value> {
  readonly load?: (path: string) => Value | Promise<Value>;
  readonly save?: (path: string, value: Value) => void | Promise<void>;
  /** What is worth keeping as metadata, such as `{ width: 640 }`. */
  readonly describe?: (value: Value) => Readonly<Record<string, unknown>> | undefined;
  readonly contentType?: string;
}

/** Makes a type known that is called `x-name` in the pipeline file. Call it where the step's module is loaded. */
export function registerType<Value>(name: `x-${string}`, type: OwnType<Value>): void;

/** What an input of type `npy` is: all values in one typed array, in the order of C. */
export interface NpyArray {
  readonly data:
    | Float32Array
    | Float64Array
    | Int8Array
    | Int16Array
    | Int32Array
    | BigInt64Array
    | Uint8Array
    | Uint16Array
    | Uint32Array
    | BigUint64Array;
  readonly shape: readonly number[];
  /** As NumPy names it: `<f8`; `bool` for booleans, which are 0 and 1. */
  readonly dtype?: string;
}

export type {
  ArtifactType,
  Each,
  ManyOutputs,
  Matrix,
  Output,
  Param,
  Pipeline,
  PipelineOptions,
  Step,
  StepOptions,
  StepSpec,
} from "./pipeline.js";
export { each, gather, matrix, param, pipeline, step } from "./pipeline.js";
