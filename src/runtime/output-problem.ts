import type { FaultCode } from "../protocol/faults.ts";

/** Why an output cannot be taken: the step's doing, so it is told as a fault. */
export class OutputProblem extends Error {
  override readonly name = "OutputProblem";
  readonly code: FaultCode;

  constructor(code: Extract<FaultCode, `output-${string}` | "permission">, message: string) {
    super(message);
    this.code = code;
  }
}

/** What an attempt's outputs may take together; counts down while they are collected. */
export class OutputBudget {
  readonly #bytesMax: number;
  readonly #entriesMax: number;
  #bytes = 0;
  #entries = 0;

  constructor(limits: { readonly outputBytesMax: number; readonly outputEntriesMax: number }) {
    this.#bytesMax = limits.outputBytesMax;
    this.#entriesMax = limits.outputEntriesMax;
  }

  /** Counts a file, folder or link before it is looked into. */
  takeEntry(): void {
    if (++this.#entries > this.#entriesMax) {
      throw new OutputProblem("output-too-large", `there are more than ${this.#entriesMax} files and folders in all`);
    }
  }

  takeBytes(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) {
      throw new OutputProblem("output-too-large", `there are more than ${this.#bytesMax} bytes in all`);
    }
  }
}
