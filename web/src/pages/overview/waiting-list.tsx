import { Link } from "@tanstack/react-router";
import type { WaitingRuns } from "../../../../src/protocol/overview.ts";
import { State } from "../../ui/state.tsx";
import { Ago } from "../../ui/time.tsx";
import styles from "./list.module.css";

/** Queued runs by what they wait for; those first that will wait for ever. */
export function WaitingList({ waiting }: { readonly waiting: readonly WaitingRuns[] }) {
  const sorted = waiting.toSorted((a, b) => Number(a.possible) - Number(b.possible));
  return (
    <section aria-labelledby="waiting">
      <h2 id="waiting" className={styles.title}>
        Waits, and why
      </h2>
      {waiting.length === 0 && <p className={styles.nothing}>Nothing waits.</p>}
      <ul className={styles.list}>
        {sorted.map(({ summary, possible, count, oldest: { pipeline, number, createdAt } }) => (
          <li key={summary}>
            <State state="queued" compact />
            <div>
              <Link to="/runs/$pipeline/$number" params={{ pipeline, number: String(number) }}>
                {pipeline}#{number}
              </Link>
              {count > 1 && ` and ${count - 1} more`}
              {!possible && <span className={styles.never}>cannot run</span>}
              <p>{summary}</p>
            </div>
            <span className={styles.aside}>
              <Ago at={createdAt} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
