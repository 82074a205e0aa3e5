import type { Overview } from "../../../../src/protocol/overview.ts";
import styles from "./ended-chart.module.css";

const DAY_MS = 24 * 60 * 60_000;
const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric" });

/** A bar for each part of the time: how many runs ended in it, and how. */
export function EndedChart({ overview: { buckets, bucketMs } }: { readonly overview: Overview }) {
  const most = Math.max(1, ...buckets.map(({ succeeded, failed, cancelled }) => succeeded + failed + cancelled));
  const format = bucketMs * buckets.length > DAY_MS ? DATE : TIME;
  return (
    <section className={styles.chart} aria-labelledby="ended">
      <h2 id="ended">Runs that ended</h2>
      <ol className={styles.bars}>
        {buckets.map(({ from, succeeded, failed, cancelled }) => {
          const said = `${format.format(new Date(from))}: ${succeeded} succeeded, ${failed} failed, ${cancelled} cancelled`;
          return (
            <li key={from} title={said}>
              <span className={styles.hidden}>{said}</span>
              <Part share={cancelled / most} className={styles.cancelled} />
              <Part share={failed / most} className={styles.failed} />
              <Part share={succeeded / most} className={styles.succeeded} />
            </li>
          );
        })}
      </ol>
      <p className={styles.times} aria-hidden="true">
        <span>{format.format(new Date(buckets[0]?.from ?? 0))}</span>
        <span>now</span>
      </p>
    </section>
  );
}

/** Few among many are still seen. */
function Part({ share, className }: { readonly share: number; readonly className: string | undefined }) {
  if (share === 0) return null;
  return <span className={className} style={{ height: `max(3px, ${share * 100}%)` }} aria-hidden="true" />;
}
