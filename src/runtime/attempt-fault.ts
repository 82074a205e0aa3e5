import type { Fault } from "../protocol/faults.ts";

/** Why an attempt cannot be carried through, where whoever found out knows the fault. */
export class AttemptFault extends Error {
  override readonly name = "AttemptFault";
  readonly fault: Fault;

  constructor(why: Fault, options: ErrorOptions = {}) {
    super(why.message, options);
    this.fault = why;
  }
}
