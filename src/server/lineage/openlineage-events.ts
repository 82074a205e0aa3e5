import type { Fault } from "../../protocol/faults.ts";
import {
  type Facets,
  OPENLINEAGE_SCHEMA,
  type OpenLineageDataset,
  type OpenLineageEvent,
  openLineageRunId,
} from "../../protocol/openlineage.ts";
import type { Action, Plan } from "../../protocol/plan.ts";
import type { Attempt, Run } from "../../protocol/resources.ts";
import type { MadeDataset, ReadDataset } from "../store/run-datasets.ts";
import {
  datasetFacets,
  ownFacet,
  type Producer,
  saidFacets,
  standardFacet,
  statisticsFacet,
} from "./openlineage-facets.ts";

type EventType = OpenLineageEvent["eventType"];
type Job = OpenLineageEvent["job"];
type Event = Pick<OpenLineageEvent, "eventType" | "eventTime" | "run" | "job"> &
  Partial<Pick<OpenLineageEvent, "inputs" | "outputs">>;

const ENDS = { succeeded: "COMPLETE", failed: "FAIL", lost: "FAIL", cancelled: "ABORT" } as const;

/** The first event of a run; one that no worker took began when it was submitted. */
export function runStarted(by: Producer, run: Run, plan: Plan): OpenLineageEvent {
  return event(by, {
    ...{ eventType: "START", eventTime: run.startedAt ?? run.createdAt },
    ...{ run: { runId: openLineageRunId(run.id), facets: runFacets(by, run) }, job: pipelineJob(by, run, plan) },
  });
}

/** Null while the run goes on. */
export function runEnded(by: Producer, run: Run, plan: Plan): OpenLineageEvent | null {
  const end = endOf(run.state);
  if (end === null || run.finishedAt === null) return null;
  const facets = { ...runFacets(by, run), ...errorFacet(by, run.fault, "UNKNOWN") };
  return event(by, {
    ...{ eventType: end, eventTime: run.finishedAt },
    ...{ run: { runId: openLineageRunId(run.id), facets }, job: pipelineJob(by, run, plan) },
  });
}

export interface AttemptFacts {
  readonly step: string;
  readonly stepRun: string;
  readonly attempt: Attempt;
  /** Of the attempt whose outputs became visible; else none. */
  readonly reads: readonly ReadDataset[];
  readonly made: readonly MadeDataset[];
}

/** The events of one attempt: its start, and its end if it has one. Each attempt is a run of the job of its step. */
export function attemptEvents(by: Producer, run: Run, plan: Plan, facts: AttemptFacts): OpenLineageEvent[] {
  const { step, stepRun, attempt, reads, made } = facts;
  const runId = openLineageRunId(run.id, { stepRun, attempt: attempt.attempt });
  const job = stepJob(by, run, step);
  const facets = attemptFacets(by, run, facts);
  const start = event(by, { eventType: "START", eventTime: attempt.startedAt, run: { runId, facets }, job });
  const end = endOf(attempt.state);
  if (end === null || attempt.finishedAt === null) return [start];
  const language = languageOf(plan.steps.find(({ name }) => name === step)?.action);
  return [
    start,
    event(by, {
      ...{ eventType: end, eventTime: attempt.finishedAt },
      ...{ run: { runId, facets: { ...facets, ...errorFacet(by, attempt.fault, language) } }, job },
      inputs: reads.map((read) => inputDataset(by, read)),
      outputs: made.map((output) => outputDataset(by, output)),
    }),
  ];
}

function event({ producer }: Producer, { inputs = [], outputs = [], ...rest }: Event): OpenLineageEvent {
  return { ...rest, producer, schemaURL: `${OPENLINEAGE_SCHEMA}#/$defs/RunEvent`, inputs, outputs };
}

function endOf(state: string): EventType | null {
  return (ENDS as Readonly<Record<string, EventType>>)[state] ?? null;
}

function pipelineJob(by: Producer, { pipeline }: Run, { description }: Plan): Job {
  const documentation =
    description === null ? {} : { documentation: standardFacet(by, "DocumentationJobFacet", { description }) };
  return { namespace: by.namespace, name: pipeline, facets: { ...jobType(by, "PIPELINE"), ...documentation } };
}

function stepJob(by: Producer, { pipeline }: Run, step: string): Job {
  return { namespace: by.namespace, name: `${pipeline}.${step}`, facets: jobType(by, "STEP") };
}

function jobType(by: Producer, type: string): Facets {
  const fields = { processingType: "BATCH", integration: "BERTH", jobType: type };
  return { jobType: standardFacet(by, "JobTypeJobFacet", fields) };
}

function engine(by: Producer): Facets {
  return { processing_engine: standardFacet(by, "ProcessingEngineRunFacet", { version: by.version, name: "Berth" }) };
}

function runFacets(by: Producer, run: Run): Facets {
  const { startedBy, restartOf } = run;
  const due = startedBy.kind === "schedule" ? startedBy.dueAt : null;
  return {
    ...engine(by),
    ...(due === null ? {} : { nominalTime: standardFacet(by, "NominalTimeRunFacet", { nominalStartTime: due }) }),
    berth_run: ownFacet(by, "RunFacet", {
      ...{ id: run.id, name: `${run.pipeline}#${run.number}`, pipelineVersion: run.pipelineVersion },
      ...{ params: run.params, sourceSha256: run.source?.digest ?? null, startedBy },
      restartOf: restartOf === null ? null : { ...restartOf, runId: openLineageRunId(restartOf.id) },
    }),
  };
}

function attemptFacets(by: Producer, run: Run, { stepRun, attempt }: AttemptFacts): Facets {
  const parent = { run: { runId: openLineageRunId(run.id) }, job: { namespace: by.namespace, name: run.pipeline } };
  const { worker, backend, image, exitCode, phases, usage } = attempt;
  return {
    ...engine(by),
    parent: standardFacet(by, "ParentRunFacet", { ...parent, root: parent }),
    berth_attempt: ownFacet(by, "RunFacet", {
      ...{ run: `${run.pipeline}#${run.number}`, stepRun, attempt: attempt.attempt },
      ...{ worker: worker.name, backend, image, exitCode, phases, usage },
    }),
  };
}

function errorFacet(by: Producer, fault: Fault | null, programmingLanguage: string): Facets {
  if (fault === null) return {};
  const message = `${fault.code}: ${fault.message}`;
  return { errorMessage: standardFacet(by, "ErrorMessageRunFacet", { message, programmingLanguage }) };
}

function languageOf(action: Action | undefined): string {
  if (action === undefined || action.kind === "command") return "UNKNOWN";
  return action.kind.toUpperCase();
}

function inputDataset(by: Producer, read: ReadDataset): OpenLineageDataset {
  return { namespace: by.namespace, name: datasetName(read), facets: datasetFacets(by, read) };
}

function outputDataset(by: Producer, made: MadeDataset): OpenLineageDataset {
  return {
    ...{ namespace: by.namespace, name: datasetName(made) },
    facets: { ...datasetFacets(by, made), ...saidFacets(by, made) },
    outputFacets: statisticsFacet(by, made),
  };
}

function datasetName({ pipeline, step, name }: Pick<ReadDataset, "pipeline" | "step" | "name">): string {
  return `${pipeline}/${step}/${name}`;
}
