import { quote } from "../../pipeline/problem.ts";
import { didYouMean } from "../../pipeline/suggest.ts";
import { BerthError } from "../../protocol/errors.ts";

const NAMED_MAX = 20;

/** `owner` is a run or a pipeline, as people name it. */
export function unknownStep(owner: string, step: string, known: readonly string[]): BerthError {
  const more = known.length > NAMED_MAX ? ", …" : "";
  const names = `${known.slice(0, NAMED_MAX).join(", ")}${more}`;
  const message = `${owner} has no step ${quote(step)}${didYouMean(step, known) || `; it has ${names}`}`;
  return new BerthError("invalid_params", message.endsWith("?") ? message : `${message}.`);
}
