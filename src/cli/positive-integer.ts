import { InvalidArgumentError } from "commander";

/** Reads an option's value as a whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError("It is to be a whole number of at least 1.");
  }
  return value;
}
