import { BerthError } from "../../protocol/errors.ts";

/** The answer to an append that does not begin where the write is. */
export function wrongOffset(expected: number): BerthError {
  return new BerthError("sequence_gap", `The upload goes on at byte ${expected}.`, { details: { expected } });
}
