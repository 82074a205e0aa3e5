/**
 * The same for every attempt of a step run, and for no other: hand it to services that the step writes to. Outside of
 * Berth it is "local".
 */
export function idempotencyKey() {
  return process.env.BERTH_IDEMPOTENCY_KEY ?? "local";
}

/** The parameters of the run, by name. */
export function params() {
  return JSON.parse(process.env.BERTH_PARAMS ?? "{}");
}

/** The place of this item in its batch, from 0, and how many there are; null for a step that is no batch. */
export function batch() {
  const { BERTH_BATCH_INDEX: index, BERTH_BATCH_COUNT: count } = process.env;
  return index === undefined || count === undefined ? null : { index: Number(index), count: Number(count) };
}
