/** One figure measured several times. Only ratios of figures from the same run are quoted: machines differ. */
export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Minimum, median and maximum. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error("no values were measured");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

/**
 * Measures contenders in turn (A B A B …), so that a slow minute of a shared machine hits all of them. Each is called
 * `warmUps` times first. Values are whatever a contender returns, such as milliseconds.
 */
export async function interleaved(
  contenders: Readonly<Record<string, () => Promise<number>>>,
  rounds: number,
  warmUps = 1,
): Promise<Map<string, Series>> {
  const names = Object.keys(contenders);
  const values = new Map(names.map((name) => [name, [] as number[]]));
  for (let round = -warmUps; round < rounds; round++) {
    for (const name of names) {
      const value = await contenders[name]!();
      if (round >= 0) values.get(name)!.push(value);
    }
  }
  return new Map(names.map((name) => [name, { name, values: values.get(name)! }]));
}

/** Milliseconds that `work` took. */
export async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
