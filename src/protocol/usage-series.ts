import { SAMPLED, type Sampled, USAGE_SAMPLES_MAX, type UsageSeries } from "./attempt-usage.ts";

/** One look at a running attempt. */
export type UsageSample = { readonly atMs: number } & { readonly [Name in Sampled]?: number | undefined };

/** Every second look is let go of when there are too many, so that what is left is as far apart as it is long. */
export function thinned<T>(samples: readonly T[]): readonly T[] {
  return samples.length <= USAGE_SAMPLES_MAX ? samples : thinned(samples.filter((_, index) => index % 2 === 0));
}

export function seriesOf(samples: readonly UsageSample[]): UsageSeries {
  const known = SAMPLED.filter((name) => samples.some((sample) => sample[name] !== undefined));
  const columns = known.map((name) => [name, samples.map((sample) => sample[name] ?? null)]);
  return { atMs: samples.map(({ atMs }) => atMs), ...Object.fromEntries(columns) };
}

export function samplesOf(series: UsageSeries): UsageSample[] {
  return series.atMs.map((atMs, index) => {
    const figures = SAMPLED.map((name) => [name, series[name]?.[index] ?? undefined]);
    return { atMs, ...Object.fromEntries(figures.filter(([, value]) => value !== undefined)) };
  });
}

/** What is known by now: of what was known, what the news do not cover, because another process saw it. */
export function mergedSeries(known: UsageSeries, news: UsageSeries): UsageSeries {
  const [from = Number.POSITIVE_INFINITY] = news.atMs;
  const before = samplesOf(known).filter(({ atMs }) => atMs < from);
  return seriesOf(thinned([...before, ...samplesOf(news)]));
}
