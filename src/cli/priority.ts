import { InvalidArgumentError } from "commander";
import { PRIORITY_MAX, PRIORITY_MIN, Priority } from "../protocol/plan.ts";

/** Reads an option's value as the priority of a run. */
export function readPriority(text: string): number {
  const parsed = Priority.safeParse(/^[+-]?\d+$/.test(text) ? Number(text) : null);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It is to be a whole number from ${PRIORITY_MIN} to ${PRIORITY_MAX}.`);
}
