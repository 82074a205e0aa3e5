/** One invariant of ARCHITECTURE.md, broken by a change of a line or two, and the test that has to fail then. */
export interface Mutant {
  /** Number of the invariant. */
  readonly invariant: number;
  /** What the code does wrong once it is changed. */
  readonly does: string;
  readonly file: string;
  /** Text that is there exactly once; nothing for a line that is added at the top. */
  readonly find: string;
  readonly replace: string;
  /** File and title of a test that is narrow enough to say what is broken. */
  readonly test: readonly [file: string, title: string];
}

const LEASES = "src/server/scheduling/leases.test.ts";
const EVENTS = "src/server/scheduling/record-events.test.ts";
const GROUPS = "src/server/scheduling/groups.test.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    invariant: 1,
    does: "gives a run that somebody holds to a second worker",
    file: "src/server/store/queue.ts",
    find: "FOR NO KEY UPDATE SKIP LOCKED",
    replace: "",
    test: [LEASES, "two claims at the same time give a run to one of two workers, also from two replicas"],
  },
  {
    invariant: 1,
    does: "leases a lost run again under the same epoch",
    file: "src/server/store/queue.ts",
    find: "SET state = 'running', epoch = epoch + 1,",
    replace: "SET state = 'running', epoch = GREATEST(epoch, 1),",
    test: [
      LEASES,
      "a run that is leased again keeps its committed steps, and goes on with the next attempt under the next epoch",
    ],
  },
  {
    invariant: 1,
    does: "begins a lost run again from its first step",
    file: "src/server/store/step-runs.ts",
    find: "WHERE run_id = $1 AND state = 'running' AND items IS NULL",
    replace: "WHERE run_id = $1 AND items IS NULL",
    test: [
      LEASES,
      "a run that is leased again keeps its committed steps, and goes on with the next attempt under the next epoch",
    ],
  },
  {
    invariant: 1,
    does: "takes runs from workers that could not renew their leases because the servers were away",
    file: "src/server/scheduling/reap.ts",
    find: "if (rows[0].outage) {",
    replace: "if (rows[0].outage === null) {",
    test: [LEASES, "after an outage of the server every lease is extended before any is reaped"],
  },
  {
    invariant: 2,
    does: "shows the outputs of an attempt that another one follows",
    file: "src/server/scheduling/apply-events.ts",
    find: "  if (body.stepState === null) {\n",
    replace:
      "  if (body.stepState === null) {\n    draft.commits.push({ stepRun: row, attempt: body.attempt, outputs: body.outputs, inputs: body.inputs });\n",
    test: [EVENTS, "exactly one attempt's outputs become visible, whatever the attempts before it left behind"],
  },
  {
    invariant: 2,
    does: "applies a report once more when it is sent again",
    file: "src/server/scheduling/record-events.ts",
    find: "events.filter(({ seq }) => seq > run.agentSeq)",
    replace: "events.map((event, index) => ({ ...event, seq: run.agentSeq + 1 + index }))",
    test: [
      EVENTS,
      "batches sent again, whole or in part, change nothing; a batch with a hole is refused and told where to go on",
    ],
  },
  {
    invariant: 3,
    does: "takes a report from a lease that is over",
    file: "src/server/store/leases.ts",
    find: "AND r.worker_id = $3 AND r.epoch = $4`",
    replace: "AND $3::text IS NOT NULL AND r.epoch >= $4`",
    test: [EVENTS, "a stale epoch changes no row and gets 409; a run of another worker gets 404 on every route"],
  },
  {
    invariant: 4,
    does: "stores bytes that are not those of their digest",
    file: "src/server/store/checked-bytes.ts",
    find: "if (actual !== digest) throw",
    replace: "if (actual === '') throw",
    test: [
      "src/server/store/tiered-blob-store.test.ts",
      "bytes that are not the blob announced are refused, and nothing of them is visible",
    ],
  },
  {
    invariant: 4,
    does: "names a version some of whose bytes are missing",
    file: "src/server/scheduling/commit-outputs.ts",
    find: "if (missing.length > 0)",
    replace: "if (missing.length > 1_000)",
    test: [
      EVENTS,
      "a commit is all or nothing: with one blob missing, nothing of the batch is there, and the digest is named",
    ],
  },
  {
    invariant: 5,
    does: "takes a success with an exit code other than 0",
    file: "src/server/scheduling/apply-events.ts",
    find: "if (body.exitCode !== 0) refuse(",
    replace: "if (body.exitCode === -1) refuse(",
    test: [EVENTS, "success needs exit code 0, every required output, and nothing that the step does not declare"],
  },
  {
    invariant: 5,
    does: "takes a process that vanished for one that succeeded",
    file: "src/backends/outcomes.ts",
    find: 'return { state: "lost", fault: why, ...NO_FACTS };',
    replace: 'return { state: why === null ? "lost" : "succeeded", ...NO_FACTS, fault: null, exitCode: 0 };',
    test: [
      "src/backends/process/process-session.test.ts",
      "when the shim is killed the attempt is lost, and releasing it kills what it left behind",
    ],
  },
  {
    invariant: 5,
    does: "succeeds without an output that its step declares",
    file: "src/runtime/join-outcome.ts",
    find: 'return outcome.state === "succeeded" ? withFault(joined, faults[0]!) : joined;',
    replace: "return joined;",
    test: [
      "src/runtime/run-attempt.test.ts",
      "exit 0 without a required output is a failure with the fault output-missing",
    ],
  },
  {
    invariant: 6,
    does: "acknowledges log bytes that leave a hole before them",
    file: "src/server/scheduling/append-logs.ts",
    find: "if (chunk.offset > expected) throw hole(chunk, expected);",
    replace: "if (chunk.offset > expected) continue;",
    test: [
      "src/server/scheduling/append-logs.test.ts",
      "bytes sent again are skipped, overlapping ones are joined, a hole is refused and stores nothing",
    ],
  },
  {
    invariant: 6,
    does: "forgets log bytes that the server did not take",
    file: "src/agent/log-shipper.ts",
    find: 'await retrying({ what: "shipping logs", signal, log }, () => send(body, signal));',
    replace: "await send(body, signal).catch(() => {});",
    test: ["src/agent/log-shipper.test.ts", "a server that is away delays logs and loses none"],
  },
  {
    invariant: 7,
    does: "stops the steps when the agent is stopped",
    file: "src/agent/run-driver.ts",
    find: 'this.#stopAll({ kind: "detach" });',
    replace: 'this.#stopAll({ kind: "cancel", reason: "shutdown", fault: null });',
    test: [
      "src/agent/run-driver.test.ts",
      "a stopped agent detaches: the next one takes over what ran and reads how it ended",
    ],
  },
  {
    invariant: 8,
    does: "lets the server's own clock say until when a lease holds",
    file: "src/server/store/leases.ts",
    find: "UPDATE runs r SET lease_expires_at = now() +",
    replace: "UPDATE runs r SET lease_expires_at = to_timestamp(${Date.now() / 1000}) +",
    test: [LEASES, "a server whose clock is wrong takes no lease away, and extends none for too long"],
  },
  {
    invariant: 8,
    does: "lets the agent's wall clock date a signature",
    file: "src/agent/server-clock.ts",
    find: "return Math.floor((this.#monotonicMs() + this.#offsetMs) / 1000);",
    replace: "return Math.floor(Date.now() / 1000);",
    test: [
      "src/agent/server-clock.test.ts",
      "the server's time is carried on by the monotonic clock, whatever the wall clock does",
    ],
  },
  {
    invariant: 9,
    does: "drops a key of a pipeline file that it does not know",
    file: "src/pipeline/schema-parts.ts",
    find: "return z.strictObject(shape, {",
    replace: "return z.object(shape, {",
    test: ["src/pipeline/compile-problems.test.ts", "an unknown key is shown with its place and what was meant"],
  },
  {
    invariant: 10,
    does: "imports a backend into the server",
    file: "src/server/scheduling/reap.ts",
    find: "",
    replace: 'import "../../backends/outcomes.ts";\n',
    test: ["test/architecture.test.ts", "each folder imports only what the table in ARCHITECTURE.md allows"],
  },
  {
    invariant: 11,
    does: "grants what a role does not grant",
    file: "src/server/http/authenticate.ts",
    find: "if (ROLES.indexOf(role) <= ROLES.indexOf(needed)) return;",
    replace: "if (ROLES.indexOf(role) <= ROLES.length) return;",
    test: [
      "src/server/http/authorization.test.ts",
      "every route lets in exactly whom its access rule names, and shows nobody another project",
    ],
  },
  {
    invariant: 12,
    does: "counts the places of a group while another gives them away",
    file: "src/server/store/groups.ts",
    find: "SELECT pg_advisory_xact_lock($1, hashtext($2))",
    replace: "SELECT $1::integer, $2::text",
    test: [GROUPS, "whoever makes a run of a group waits until another has made its own, also at another server"],
  },
  {
    invariant: 12,
    does: "hands out a run that has no place in its group",
    file: "src/server/store/queue.ts",
    find: "state = 'queued' AND NOT held_back AND",
    replace: "state = 'queued' AND",
    test: [
      GROUPS,
      "a group lets as many runs be taken as it has places, across pipelines, and passes each place on in order",
    ],
  },
  {
    invariant: 12,
    does: "forgets a place that a server which died did not pass on",
    file: "src/server/scheduling/loops.ts",
    find: "      await giveAllPlaces(services);\n",
    replace: "      void giveAllPlaces;\n",
    test: [GROUPS, "a place that nobody passed on, because a server died, is given by the next pass of any server"],
  },
];

/** The text of the mutant's file with the change; throws when it does not apply any more, or in more than one place. */
export function mutate({ file, find, replace }: Mutant, text: string): string {
  if (find === "") return replace + text;
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times, not once: ${find}`);
  return parts.join(replace);
}
