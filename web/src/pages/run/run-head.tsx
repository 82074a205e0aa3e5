import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { RestartedRun, RunDetail } from "../../../../src/protocol/resources.ts";
import { ask } from "../../api/client.ts";
import { runPath, run as runQuery } from "../../api/queries.ts";
import { Button } from "../../ui/button.tsx";
import { Problem } from "../../ui/notice.tsx";
import { State } from "../../ui/state.tsx";
import { Ago, Duration } from "../../ui/time.tsx";
import styles from "./run-head.module.css";

export function RunHead({ run }: { readonly run: RunDetail }) {
  const { pipeline, number, state } = run;
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = runPath(pipeline, String(number));
  const cancel = useMutation({
    mutationFn: () => ask<RunDetail>(`${path}/cancel`, { method: "POST", body: {} }),
    onSettled: () => client.invalidateQueries({ queryKey: runQuery(pipeline, String(number)).queryKey }),
  });
  const restart = useMutation({
    mutationFn: () => ask<RestartedRun>(`${path}/restart`, { method: "POST", body: {} }),
    onSuccess: (made) =>
      navigate({ to: "/runs/$pipeline/$number", params: { pipeline: made.pipeline, number: String(made.number) } }),
  });
  const isActive = state === "queued" || state === "running";
  return (
    <section className={styles.head} aria-label="Run">
      <div className={styles.title}>
        <h1>
          {pipeline}#{number}
        </h1>
        <State state={state} />
        <div className={styles.actions}>
          {isActive && (
            <Button kind="danger" onClick={() => cancel.mutate()} disabled={cancel.isPending}>
              Cancel
            </Button>
          )}
          {(state === "failed" || state === "cancelled") && (
            <Button kind="primary" onClick={() => restart.mutate()} disabled={restart.isPending}>
              Restart from what failed
            </Button>
          )}
        </div>
      </div>
      <dl className={styles.facts}>
        <Fact name="Submitted">
          <Ago at={run.createdAt} />
        </Fact>
        <Fact name="Took">
          <Duration from={run.startedAt} to={run.finishedAt} />
        </Fact>
        <Fact name="Started by">
          {run.startedBy.kind === "person" ? run.createdBy : `${run.startedBy.kind} ${run.startedBy.name}`}
        </Fact>
        <Fact name="Worker">{run.worker?.name ?? "–"}</Fact>
        <Fact name="Version">{run.pipelineVersion}</Fact>
        {run.restartOf !== null && (
          <Fact name="Restart of">
            <Link to="/runs/$pipeline/$number" params={{ pipeline, number: String(run.restartOf.number) }}>
              {pipeline}#{run.restartOf.number}
            </Link>
          </Fact>
        )}
        {Object.entries(run.params).map(([name, value]) => (
          <Fact key={name} name={name}>
            <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>
          </Fact>
        ))}
      </dl>
      {run.waiting !== null && <p className={styles.why}>{run.waiting.summary}</p>}
      {run.cancel !== null && (
        <p className={styles.why}>
          Cancelled by {run.cancel.by} <Ago at={run.cancel.at} />
          {run.cancel.reason !== null && `: ${run.cancel.reason}`}
        </p>
      )}
      {(cancel.error ?? restart.error) !== null && <Problem error={cancel.error ?? restart.error} />}
    </section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
