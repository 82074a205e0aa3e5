import type { RunDetail, StepRun } from "../../../../src/protocol/resources.ts";
import { State } from "../../ui/state.tsx";
import { Duration, useNow } from "../../ui/time.tsx";
import styles from "./step-list.module.css";

interface StepListProps {
  readonly run: RunDetail;
  readonly steps: readonly StepRun[];
  readonly chosen: string | undefined;
  readonly onChoose: (key: string) => void;
}

/** The steps in the order of the pipeline; beside each, when it ran in the time of the run. */
export function StepList({ run, steps, chosen, onChoose }: StepListProps) {
  const now = useNow(run.finishedAt === null);
  const from = Date.parse(run.startedAt ?? run.createdAt);
  const span = Math.max(1, (run.finishedAt === null ? now : Date.parse(run.finishedAt)) - from);
  const partOf = (at: string | null) => Math.max(0, ((at === null ? now : Date.parse(at)) - from) / span);
  return (
    <ol className={styles.list} aria-label="Steps">
      {steps.map((step) => {
        const begin = step.startedAt === null ? null : partOf(step.startedAt);
        return (
          <li key={step.key}>
            <button type="button" aria-current={step.key === chosen} onClick={() => onChoose(step.key)}>
              <State state={step.state} compact />
              <span className={styles.name}>{step.key}</span>
              <span className={styles.took}>
                {step.takenFrom === null ? <Duration from={step.startedAt} to={step.finishedAt} /> : "taken over"}
              </span>
              <span className={styles.track} aria-hidden="true">
                {begin !== null && (
                  <span
                    className={`${styles.bar} ${styles[step.state]}`}
                    style={{ left: `${begin * 100}%`, width: `max(3px, ${(partOf(step.finishedAt) - begin) * 100}%)` }}
                  />
                )}
              </span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}
