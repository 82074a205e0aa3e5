import type { AttemptState, RunState, StepState } from "../../../src/protocol/states.ts";
import styles from "./state.module.css";

export type AnyState = RunState | StepState | AttemptState;

/** How a state looks: never by its colour alone. */
const LOOKS: Readonly<Record<AnyState, { readonly tone: string; readonly path: string; readonly word: string }>> = {
  queued: { tone: "idle", path: "M8 4v4l2.5 2", word: "Queued" },
  pending: { tone: "idle", path: "M5 8h6", word: "Pending" },
  running: { tone: "busy", path: "M8 3a5 5 0 1 1-5 5", word: "Running" },
  cancelling: { tone: "busy", path: "M5.5 5.5l5 5m0-5l-5 5", word: "Cancelling" },
  succeeded: { tone: "good", path: "M4.8 8.3l2.2 2.2 4.2-4.6", word: "Succeeded" },
  failed: { tone: "bad", path: "M5.5 5.5l5 5m0-5l-5 5", word: "Failed" },
  lost: { tone: "bad", path: "M8 4.5v4m0 2.5v.1", word: "Lost" },
  cancelled: { tone: "idle", path: "M4.8 11.2l6.4-6.4", word: "Cancelled" },
  skipped: { tone: "idle", path: "M6 5l3 3-3 3M10.5 5v6", word: "Skipped" },
};

interface StateProps {
  readonly state: AnyState;
  /** Only the sign; what it means is still said to who cannot see it. */
  readonly compact?: boolean;
}

export function State({ state, compact = false }: StateProps) {
  const { tone, path, word } = LOOKS[state];
  return (
    <span className={`${styles.state} ${styles[tone]}`} title={compact ? word : undefined}>
      <svg viewBox="0 0 16 16" className={state === "running" ? styles.turning : undefined} aria-hidden="true">
        {state !== "running" && <circle cx="8" cy="8" r="6.6" />}
        <path d={path} />
      </svg>
      <span className={compact ? styles.hidden : undefined}>{word}</span>
    </span>
  );
}
