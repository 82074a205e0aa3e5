import { z } from "zod";

/**
 * A name of a pipeline, step, input, output, parameter, pool or environment: it ends up in paths, container
 * labels, URLs and environment variables, so it is short ASCII and can never be `.`, `..` or hold a separator.
 */
export const NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

/** What it asks, as a sentence for people. */
export const NAME_RULE = "A name starts with a letter and holds at most 63 letters, digits, '_' or '-'.";

export const Name = z
  .string()
  .regex(NAME_PATTERN, "must start with a letter and hold at most 63 letters, digits, '_' or '-'");

/** Lower-case hexadecimal SHA-256: the address of a blob. */
export const Digest = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in lower-case hexadecimal");

/** One value of a matrix dimension or a parameter. */
export const Scalar = z.union([z.string(), z.number(), z.boolean()]);
export type Scalar = z.infer<typeof Scalar>;

/**
 * The key of a step run, unique within its run: `train`, `train[model=forest]`, `score[7]`,
 * `score[model=forest][7]`. It is built here and never parsed; its parts travel beside it.
 */
export function stepRunKey(step: string, matrix: Readonly<Record<string, Scalar>> | null, item: number | null): string {
  const combination = matrix === null ? "" : `[${matrixKey(matrix)}]`;
  return `${step}${combination}${item === null ? "" : `[${item}]`}`;
}

/** `model=forest,depth=3`: what people read of a matrix combination. */
export function matrixKey(matrix: Readonly<Record<string, Scalar>>): string {
  return Object.entries(matrix)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(",");
}
