import { InvalidArgumentError } from "commander";

/** Reads an option's value as a whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError("It is to be a whole number of at least 1.");
  }
  return value;
}

/** The same with a highest value. */
export function positiveIntegerUpTo(max: number): (text: string) => number {
  return (text) => {
    const value = positiveInteger(text);
    if (value > max) throw new InvalidArgumentError(`It is to be at most ${max}.`);
    return value;
  };
}
