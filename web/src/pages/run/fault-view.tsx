import type { Fault } from "../../../../src/protocol/faults.ts";
import styles from "./fault-view.module.css";

const WHO: Readonly<Record<Fault["blame"], string>> = {
  step: "the step's own code",
  data: "the data that it was given",
  pipeline: "the pipeline file",
  platform: "the platform",
  request: "whoever asked for it to stop",
};

/** Why something did not succeed, whose it is to mend, and how. */
export function FaultView({ fault }: { readonly fault: Fault }) {
  return (
    <div className={styles.fault}>
      <strong>{fault.message}</strong>
      <p>{fault.advice}</p>
      {fault.evidence !== undefined && <pre>{fault.evidence}</pre>}
      <p className={styles.quiet}>
        <code>{fault.code}</code> – it lies with {WHO[fault.blame]}
      </p>
    </div>
  );
}
