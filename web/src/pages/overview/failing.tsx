import { Link } from "@tanstack/react-router";
import type { FailingPipeline } from "../../../../src/protocol/overview.ts";
import { State } from "../../ui/state.tsx";
import { Ago } from "../../ui/time.tsx";
import styles from "./list.module.css";

/** Pipelines whose newest result is a failure. */
export function Failing({ failing }: { readonly failing: readonly FailingPipeline[] }) {
  return (
    <section aria-labelledby="failing">
      <h2 id="failing" className={styles.title}>
        Fails now
      </h2>
      {failing.length === 0 && <p className={styles.nothing}>No pipeline: the newest result of each is a success.</p>}
      <ul className={styles.list}>
        {failing.map(({ pipeline, run, fault, failedInARow }) => (
          <li key={pipeline}>
            <State state="failed" compact />
            <div>
              <Link to="/runs/$pipeline/$number" params={{ pipeline, number: String(run.number) }}>
                {pipeline}#{run.number}
              </Link>
              <p>{fault?.message}</p>
            </div>
            <span className={styles.aside}>
              <Ago at={run.finishedAt} />
              {failedInARow > 1 && <span>{failedInARow} in a row</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
