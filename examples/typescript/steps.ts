import { BusinessError, log, metric, progress } from "berth-sdk";

/** Of points drawn at random in a square, the share that lies in the circle within it is a quarter of π. */

export interface Estimate {
  readonly seed: number;
  readonly points: number;
  readonly inside: number;
}

const PARTS = 10;

/** Draws points; the same seed draws the same ones. */
export function sample({ seed, points }: { seed: number; points: number }): Estimate {
  if (points < PARTS) throw new BusinessError(`${points} points are too few to estimate anything`);
  const random = generator(seed);
  let inside = 0;
  for (let part = 1; part <= PARTS; part++) {
    for (let count = 0; count < points / PARTS; count++) if (Math.hypot(random(), random()) <= 1) inside++;
    progress(part, PARTS);
  }
  log.info("sampled", { seed, inside });
  return { seed, points, inside };
}

/** Joins what all seeds have found. */
export function estimate({ samples }: { samples: Estimate[] }) {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const pi = (4 * sum(samples.map(({ inside }) => inside))) / sum(samples.map(({ points }) => points));
  metric("error", Math.abs(pi - Math.PI));
  return { pi, seeds: samples.map(({ seed }) => seed) };
}

/** mulberry32: small, and the same on every machine. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
