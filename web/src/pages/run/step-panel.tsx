import { useState } from "react";
import type { Attempt, RunDetail, StepRun } from "../../../../src/protocol/resources.ts";
import { runPath } from "../../api/queries.ts";
import { Command } from "../../ui/command.tsx";
import { State } from "../../ui/state.tsx";
import { Duration } from "../../ui/time.tsx";
import { FaultView } from "./fault-view.tsx";
import { LogView } from "./log-view.tsx";
import styles from "./step-panel.module.css";

interface StepPanelProps {
  readonly run: RunDetail;
  readonly step: StepRun;
}

/** Of one step: how each attempt went, and the log of the one that is chosen, which is the newest as long as nobody chose. */
export function StepPanel({ run, step }: StepPanelProps) {
  const [picked, pick] = useState<number | null>(null);
  const attempt = step.attempts.find((each) => each.attempt === picked) ?? step.attempts.at(-1);
  const fault = attempt?.fault ?? step.fault;
  const name = `${run.pipeline}#${run.number}`;
  return (
    <section className={styles.panel} aria-label={`Step ${step.key}`}>
      <div className={styles.title}>
        <h2>{step.key}</h2>
        <State state={step.state} />
        {step.attempts.length > 1 && (
          <div className={styles.attempts}>
            {step.attempts.map((each) => (
              <button
                key={each.attempt}
                type="button"
                aria-pressed={each === attempt}
                onClick={() => pick(each.attempt)}
              >
                <State state={each.state} compact /> Attempt {each.attempt}
              </button>
            ))}
          </div>
        )}
      </div>
      {fault !== null && fault !== undefined && <FaultView fault={fault} />}
      {attempt === undefined ? <p className={styles.quiet}>{withoutAttempt(step)}</p> : <Facts attempt={attempt} />}
      {attempt !== undefined && (
        <LogView
          key={attempt.attempt}
          path={`${runPath(run.pipeline, String(run.number))}/logs`}
          query={{ step: step.key, attempt: attempt.attempt }}
          isLive={attempt.finishedAt === null}
        />
      )}
      {fault !== null && fault !== undefined && attempt !== undefined && (
        <div className={styles.replay}>
          <p>Run this very attempt again on your machine, with its inputs and in its image:</p>
          <Command>{`berth replay '${name}/${step.key}' --attempt ${attempt.attempt}`}</Command>
        </div>
      )}
    </section>
  );
}

function withoutAttempt({ state, takenFrom }: StepRun): string {
  if (takenFrom !== null) return `Its result was taken over from run #${takenFrom.number}.`;
  if (state === "pending") return "It waits for what it needs, or for a free place on the worker.";
  if (state === "skipped") return "It was not started, because something that it needs did not succeed.";
  return "It never began.";
}

function Facts({ attempt }: { readonly attempt: Attempt }) {
  const { backend, worker, exitCode, signal, warnings, progress } = attempt;
  const done = progress === null || progress.done === null ? null : [progress.done, progress.total].join(" of ");
  return (
    <div className={styles.facts}>
      <span>
        <Duration from={attempt.startedAt} to={attempt.finishedAt} /> on {worker.name} ({backend})
      </span>
      {exitCode !== null && exitCode !== 0 && <span>exit code {exitCode}</span>}
      {signal !== null && <span>{signal}</span>}
      {attempt.finishedAt === null && progress !== null && (
        <span>
          {done} {progress.message}
        </span>
      )}
      {warnings.map((warning) => (
        <span key={warning}>{warning}</span>
      ))}
    </div>
  );
}
