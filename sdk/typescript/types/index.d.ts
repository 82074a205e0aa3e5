/** The step did what it should, and the data or a rule is wrong: trying again would change nothing. */
export class BusinessError extends Error {
  constructor(message?: string, options?: ErrorOptions);
}

/** How far the step has come: `progress(3, 10, "rows")`. Shown while the step runs. */
export function progress(done: number, total?: number | undefined, message?: string | undefined): void;

/** A measured value, kept with the attempt: `metric("auc", 0.93)`, or one of a series: `metric("loss", 0.1, { step: 4 })`. */
export function metric(name: string, value: number, options?: { readonly step?: number | undefined }): void;

/** What is to be known of an output beside its bytes. */
export interface OutputDescription {
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly schema?: Readonly<Record<string, unknown>>;
  readonly format?: string;
}
export function describeOutput(name: string, description: OutputDescription): void;

type LogLine = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Lines with a level and fields: `log.info("read", { rows: 3 })`. */
export const log: Readonly<Record<"debug" | "info" | "warning" | "error", LogLine>>;

/** The path of an input: the file or the folder itself. */
export function inputPath(name: string): string;

/** The path at which an output is to be written. */
export function outputPath(name: string): string;

/** The same for every attempt of a step run, and for no other: hand it to services that the step writes to. */
export function idempotencyKey(): string;

/** The parameters of the run, by name. */
export function params(): Record<string, string | number | boolean>;

/** The place of this item in its batch, from 0, and how many there are; null for a step that is no batch. */
export function batch(): { readonly index: number; readonly count: number } | null;

/** How a type of your own is read from its path and written to it. Both may be async. */
export interface ArtifactKind<Value = unknown> {
  readonly read?: (path: string) => Value | Promise<Value>;
  readonly write?: (path: string, value: Value) => void | Promise<void>;
}

/** Makes a type known that is called `x-name` in the pipeline file. Call it where the step's module is loaded. */
export function registerType<Value>(name: `x-${string}`, kind: ArtifactKind<Value>): void;

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
