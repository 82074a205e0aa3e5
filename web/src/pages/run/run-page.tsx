import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { RunDetail, StepRun } from "../../../../src/protocol/resources.ts";
import { run as runQuery, steps as stepsQuery } from "../../api/queries.ts";
import { useRunEvents } from "../../live/use-run-events.ts";
import { Problem } from "../../ui/notice.tsx";
import { RunHead } from "./run-head.tsx";
import styles from "./run-page.module.css";
import { StepList } from "./step-list.tsx";
import { StepPanel } from "./step-panel.tsx";

export const hasEnded = ({ state }: RunDetail) => state === "succeeded" || state === "failed" || state === "cancelled";

/** One run: its steps with when they ran, and of the chosen one why it ended as it did and what it said. */
export function RunPage() {
  const { pipeline, number } = useParams({ from: "/runs/$pipeline/$number" });
  const { step } = useSearch({ from: "/runs/$pipeline/$number" });
  const navigate = useNavigate({ from: "/runs/$pipeline/$number" });
  const run = useQuery(runQuery(pipeline, number));
  const steps = useQuery(stepsQuery(pipeline, number));
  useRunEvents(pipeline, number, run.data !== undefined && !hasEnded(run.data));
  if (run.isError) return <Problem error={run.error} />;
  if (run.data === undefined) return <div className={styles.waiting} aria-busy="true" />;
  const all = steps.data ?? [];
  const chosen = all.find(({ key }) => key === step) ?? ofInterest(all);
  return (
    <>
      <RunHead run={run.data} />
      {steps.isError && <Problem error={steps.error} />}
      <div className={styles.columns}>
        <StepList
          run={run.data}
          steps={all}
          chosen={chosen?.key}
          onChoose={(key) => void navigate({ search: { step: key }, replace: true })}
        />
        {chosen !== undefined && <StepPanel key={chosen.key} run={run.data} step={chosen} />}
      </div>
    </>
  );
}

/** What somebody who opens a run wants to see: what failed, or else what runs, or the end. */
function ofInterest(steps: readonly StepRun[]): StepRun | undefined {
  const inState = (state: StepRun["state"]) => steps.find((each) => each.state === state);
  return inState("failed") ?? inState("running") ?? steps.findLast(({ attempts }) => attempts.length > 0) ?? steps[0];
}
