import { Link } from "@tanstack/react-router";
import type { ListedRun } from "../../../../src/protocol/run-lists.ts";
import { State } from "../../ui/state.tsx";
import { Ago, Duration } from "../../ui/time.tsx";
import styles from "./run-rows.module.css";

export function RunRows({ runs }: { readonly runs: readonly ListedRun[] }) {
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Run</th>
            <th scope="col">Started by</th>
            <th scope="col">Worker</th>
            <th scope="col" className={styles.number}>
              Took
            </th>
            <th scope="col" className={styles.number}>
              Submitted
            </th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <Row key={run.id} run={run} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ run }: { readonly run: ListedRun }) {
  const { pipeline, number } = run;
  return (
    <tr>
      <td>
        <State state={run.state} />
      </td>
      <td className={styles.name}>
        <Link to="/runs/$pipeline/$number" params={{ pipeline, number: String(number) }}>
          {pipeline}#{number}
        </Link>
        <p>{said(run)}</p>
      </td>
      <td>{starterOf(run)}</td>
      <td>{run.worker?.name ?? "–"}</td>
      <td className={styles.number}>
        <Duration from={run.startedAt} to={run.finishedAt} />
      </td>
      <td className={styles.number}>
        <Ago at={run.createdAt} />
      </td>
    </tr>
  );
}

/** In a sentence what somebody wants to know of it: why it failed, or why it waits; else what it was given. */
function said({ fault, waiting, cancel, params }: ListedRun): string {
  if (fault !== null) return fault.message;
  if (waiting !== null) return waiting.summary;
  if (cancel !== null) return cancel.reason ?? `cancelled by ${cancel.by}`;
  return Object.entries(params)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("  ");
}

function starterOf({ startedBy, createdBy }: ListedRun): string {
  return startedBy.kind === "person" ? createdBy : `${startedBy.kind} ${startedBy.name}`;
}
