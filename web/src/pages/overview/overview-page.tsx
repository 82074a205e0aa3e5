import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { Overview } from "../../../../src/protocol/overview.ts";
import { overview } from "../../api/queries.ts";
import { useRunChanges } from "../../live/use-run-changes.ts";
import { Command } from "../../ui/command.tsx";
import { Empty, Problem } from "../../ui/notice.tsx";
import { durationText } from "../../ui/time.tsx";
import { EndedChart } from "./ended-chart.tsx";
import { Failing } from "./failing.tsx";
import styles from "./overview-page.module.css";
import { WaitingList } from "./waiting-list.tsx";

const TIMES: readonly { readonly hours: number; readonly label: string }[] = [
  { hours: 24, label: "Day" },
  { hours: 24 * 7, label: "Week" },
  { hours: 24 * 30, label: "Month" },
];
const DEFAULT_HOURS = 24;

/** How the project is doing: what fails now, what waits and why, and how runs of the last time ended. */
export function OverviewPage() {
  const { hours = DEFAULT_HOURS } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const { data, error } = useQuery(overview(hours));
  useRunChanges(["overview"]);
  if (error !== null) return <Problem error={error} />;
  if (data === undefined) return <div className={styles.waiting} aria-busy="true" />;
  return (
    <>
      <div className={styles.head}>
        <h1>Overview</h1>
        <div className={styles.times}>
          {TIMES.map((time) => (
            <button
              key={time.hours}
              type="button"
              aria-pressed={time.hours === hours}
              onClick={() => void navigate({ search: { hours: time.hours } })}
            >
              {time.label}
            </button>
          ))}
        </div>
      </div>
      {isNew(data) ? (
        <Empty title="Nothing has run yet">
          <p>Run the example, and watch it here:</p>
          <Command>berth demo</Command>
        </Empty>
      ) : (
        <>
          <Figures overview={data} />
          <EndedChart overview={data} />
          <div className={styles.columns}>
            <Failing failing={data.failing} />
            <WaitingList waiting={data.waiting} />
          </div>
        </>
      )}
    </>
  );
}

function isNew({ live, failing, ended }: Overview): boolean {
  const runs = live.queued + live.running + live.cancelling + ended.succeeded + ended.failed + ended.cancelled;
  return runs + failing.length === 0;
}

function Figures({ overview: { live, ended, complete } }: { readonly overview: Overview }) {
  const all = ended.succeeded + ended.failed + ended.cancelled;
  return (
    <dl className={styles.figures}>
      <Figure name="Running">{live.running + live.cancelling}</Figure>
      <Figure name="Waiting">{live.queued}</Figure>
      <Figure name="Ended">{`${complete ? "" : "more than "}${all.toLocaleString()}`}</Figure>
      <Figure name="Succeeded">
        {ended.successRate === null ? "–" : `${(ended.successRate * 100).toFixed(ended.successRate === 1 ? 0 : 1)} %`}
      </Figure>
      <Figure name="Took, median">{ended.durationMs === null ? "–" : durationText(ended.durationMs.median)}</Figure>
      <Figure name="Waited, median">{ended.queueMs === null ? "–" : durationText(ended.queueMs.median)}</Figure>
      <Figure name="Waited, 95 of 100">{ended.queueMs === null ? "–" : durationText(ended.queueMs.p95)}</Figure>
    </dl>
  );
}

function Figure({ name, children }: { readonly name: string; readonly children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
