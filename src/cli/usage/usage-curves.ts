import type { Sampled, UsageSeries } from "../../protocol/attempt-usage.ts";
import { samplesOf } from "../../protocol/usage-series.ts";

/** The values of a curve in equal stretches of time; null where nothing was known. */
export type Curve = readonly (number | null)[];

interface Point {
  readonly atMs: number;
  readonly value: number;
}

/** A figure as it stood over time, such as memory. */
export function levelCurve(series: UsageSeries, name: Sampled, width: number): Curve {
  return stretched(pointsOf(series, name), width);
}

/** How fast a counter grew over time: per second, so CPU time in seconds comes to cores. */
export function rateCurve(series: UsageSeries, name: Sampled, width: number): Curve {
  const points = [{ atMs: 0, value: 0 }, ...pointsOf(series, name)];
  const rates = points.slice(1).flatMap(({ atMs, value }, index) => {
    const before = points[index]!;
    const seconds = (atMs - before.atMs) / 1000;
    return seconds <= 0 ? [] : [{ atMs, value: Math.max(0, value - before.value) / seconds }];
  });
  return stretched(rates, width);
}

function pointsOf(series: UsageSeries, name: Sampled): Point[] {
  return samplesOf(series).flatMap((sample) => {
    const value = sample[name];
    return value === undefined ? [] : [{ atMs: sample.atMs, value }];
  });
}

/** Looks are farther apart the older an attempt is: between two of them, what the later one saw holds. */
function stretched(points: readonly Point[], width: number): Curve {
  const endMs = points.at(-1)?.atMs ?? 0;
  const columns = Math.min(width, points.length);
  return Array.from({ length: columns }, (_, column) => {
    const [fromMs, toMs] = [(column * endMs) / columns, ((column + 1) * endMs) / columns];
    const within = points.filter(({ atMs }) => atMs > fromMs && atMs <= toMs);
    if (within.length > 0) return Math.max(...within.map(({ value }) => value));
    return points.find(({ atMs }) => atMs > toMs)?.value ?? null;
  });
}
