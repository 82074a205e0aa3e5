/** A past failure, put back: in a file each text, which occurs once in it, is replaced by another. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly edits: readonly (readonly [find: string, replace: string])[];
  /** Where it shows: in the agent, or in what the real server does with a real PostgreSQL. */
  readonly store: "memory" | "postgres";
  /** A seed that finds it, tried first; after a change that makes other stories of all seeds another one may. */
  readonly caughtBy: number;
}

/** Of the agent, and of decisions without SQL: with the memory model, which is fast. */
const IN_MEMORY: readonly Omit<Mutant, "store">[] = [
  {
    name: "after a restart the end of a batch is reported before those of its items",
    file: "src/agent/run-steps.ts",
    caughtBy: 1,
    edits: [["(graph.restored, this.#reportUnreported());", "(graph.restored);\n    this.#reportUnreported();"]],
  },
  {
    name: "after a restart ends are reported in the order in which their steps were made ready",
    file: "src/agent/run-history.ts",
    caughtBy: 1,
    edits: [
      [
        "const ended = this.#results.map(",
        "const ended = [...this.attempts.values()].flatMap((one) => one.map(({ result, work }) => ({ ...work.ref, result }))).filter(({ result }) => result !== null).map(",
      ],
    ],
  },
  {
    name: "an item that runs is skipped when its sibling fails after a restart",
    file: "src/pipeline/run-graph-node.ts",
    caughtBy: 2,
    edits: [["return !wasRunning && (", "return ("]],
  },
  {
    name: "an object of an earlier lease is taken for that of this one",
    file: "src/backends/object-name.ts",
    caughtBy: 40,
    edits: [
      [
        "hashName(installation, run, scope, stepRun, String(attempt))",
        "hashName(installation, run, stepRun, String(attempt))",
      ],
    ],
  },
  {
    name: "after a power cut an attempt goes on with the inputs of one that was forgotten",
    file: "src/agent/run-attempts.ts",
    caughtBy: 251,
    edits: [["if (!isSealed(spec.folder)) return;", "if (isSealed(spec.folder) || true) return;"]],
  },
  {
    name: "a batch is reported as split before its input is committed",
    file: "src/agent/run-steps.ts",
    caughtBy: 2,
    edits: [["    await this.#needsCommitted(batch);\n", ""]],
  },
  {
    name: "what a condition decides is reported before what it looked at is committed",
    file: "src/agent/run-steps.ts",
    caughtBy: 48,
    edits: [
      [
        "isMet(stepRun, this.#stops.all);\n    await this.#needsCommitted(stepRun);\n",
        "isMet(stepRun, this.#stops.all);\n",
      ],
    ],
  },
  {
    name: "a success is reported before those of what it read",
    file: "src/agent/commits.ts",
    caughtBy: 1,
    edits: [["outputs.every(isInline) && this.#pendingAmong(reads).length === 0", "outputs.every(isInline)"]],
  },
  {
    name: "an agent goes on with leases that the server gave up",
    file: "src/agent/held-runs.ts",
    caughtBy: 40,
    edits: [['if (held?.lease.epoch === epoch) held.fence("the server gave the lease up");', ""]],
  },
  {
    name: "a process that may not speak for its worker any more keeps its containers",
    file: "src/agent/agent.ts",
    caughtBy: 38,
    edits: [['for (const held of this.#held.all()) held.fence("this process of the agent may not go on");', ""]],
  },
  {
    name: "containers run on when their lease is lost",
    file: "src/agent/run-driver.ts",
    caughtBy: 38,
    edits: [['    this.#stopAll({ kind: "cancel", reason: "fenced", fault: null });\n', ""]],
  },
  {
    name: "what is left of a lost lease is not removed",
    file: "src/agent/run-driver.ts",
    caughtBy: 39,
    edits: [
      [
        "if (!(await this.#attempts.releaseAll())) throw",
        'if (this.#state !== "fenced" && !(await this.#attempts.releaseAll())) throw',
      ],
    ],
  },
  {
    name: "a process that starts goes on with runs that were given up while it was away",
    file: "src/agent/recovery.ts",
    caughtBy: 51,
    edits: [["if (ackedSeq < 0 && !history.fenced) {", "if (ackedSeq < -1) {"]],
  },
  {
    name: "a run begins again on a worker that is still stopping what ran under an earlier lease",
    file: "src/agent/agent.ts",
    caughtBy: 97,
    edits: [["Promise.all(before).then(() => {}),", "Promise.resolve(),"]],
  },
  {
    name: "the intent to run an attempt is not journaled",
    file: "src/agent/run-attempts.ts",
    caughtBy: 1,
    edits: [['link.outbox.record({ type: "intent", work }, started)', "link.outbox.report(started)"]],
  },
  {
    name: "a run is begun before it is journaled",
    file: "src/agent/run-driver.ts",
    caughtBy: 2,
    edits: [["    journal.append(assigned);\n", ""]],
  },
  {
    name: "how an attempt ended is reported and not journaled",
    file: "src/agent/run-attempts.ts",
    caughtBy: 1,
    edits: [
      [
        "return durably(() => link.outbox.record(record, finished), wait);",
        "return durably(() => link.outbox.report(finished), wait);",
      ],
    ],
  },
  {
    name: "a journal that lost its end in a power cut is continued",
    file: "src/agent/recovery.ts",
    caughtBy: 135,
    edits: [["if (shortened.length === 0) return", "if (shortened.length >= 0) return"]],
  },
  {
    name: "an object that is gone counts as a success",
    file: "src/backends/outcomes.ts",
    caughtBy: 5,
    edits: [
      [
        'return { state: "lost", fault: why, ...NO_FACTS };',
        'return { state: "succeeded", fault: null, ...NO_FACTS, exitCode: 0 };',
      ],
    ],
  },
  {
    name: "an attempt that was lost sight of runs on beside the next one",
    file: "src/agent/run-attempts.ts",
    caughtBy: 244,
    edits: [['if (outcome.state !== "lost") return;', 'if (outcome.state !== "cancelled") return;']],
  },
  {
    name: "the pause between reports is measured by the wall clock",
    file: "src/agent/outbox.ts",
    caughtBy: 23,
    edits: [
      ["sentAtMs = performance.now();", "sentAtMs = Date.now();"],
      ["sentAtMs + SPACING_MS - performance.now()", "sentAtMs + SPACING_MS - Date.now()"],
    ],
  },
  {
    name: "what is left of a time limit after a restart is measured by the wall clock",
    file: "src/runtime/run-deadline.ts",
    caughtBy: 669,
    edits: [
      ["NOTE), String(uptime()),", "NOTE), String(Date.now() / 1000),"],
      ["(uptime() - startedAt) * 1000", "(Date.now() / 1000 - startedAt) * 1000"],
    ],
  },
  {
    name: "an event whose answer was lost is sent under a new number",
    file: "src/agent/outbox.ts",
    caughtBy: 1,
    edits: [
      ["          return expected - 1;\n", "          throw error;\n"],
      ["this.#lastSeq = options.lastSeq;", "this.#lastSeq = options.pending.at(-1)?.seq ?? options.lastSeq + 1;"],
    ],
  },
  {
    name: "what is still being made ready is removed before it is there",
    file: "src/agent/run-attempts.ts",
    caughtBy: 212,
    edits: [["    await this.#preparing.get(handle.name);\n", ""]],
  },
  {
    name: "logs of an attempt are not waited for before it is removed",
    file: "src/agent/run-attempts.ts",
    caughtBy: 2,
    edits: [["if (!link.signal.aborted && this.#submitted.has(handle.name)) {", "if (link.signal.aborted) {"]],
  },
  {
    name: "what an attempt says is not waited for before its folder is removed",
    file: "src/agent/message-shipper.ts",
    caughtBy: 210,
    edits: [["    await tracked.shipped.promise;\n", ""]],
  },
  {
    name: "a blob is hashed without end in the first minute of a machine",
    file: "src/runtime/blob-cache.ts",
    caughtBy: 5,
    edits: [["    while (present === null) {", "    while (present === null || !this.#folder.isProven(present)) {"]],
  },
  {
    name: "a success commits no outputs",
    file: "src/server/scheduling/apply-events.ts",
    caughtBy: 2,
    edits: [['if (state === "succeeded" || body.outputs.length > 0) {', 'if (state === "failed") {']],
  },
];

/** Of what the server decides by SQL: the real code on a real PostgreSQL. */
const IN_POSTGRES: readonly Omit<Mutant, "store">[] = [
  {
    name: "a run that has ended is cancelled all the same",
    file: "src/server/scheduling/cancel.ts",
    caughtBy: 71,
    edits: [['if (state === "succeeded" || state === "failed") {', 'if (state === ("never" as string)) {']],
  },
  {
    name: "attempts of a worker that was given up count as running",
    file: "src/server/scheduling/release.ts",
    caughtBy: 3,
    edits: [
      [
        "    await loseRunningAttempts(client, run.id,",
        '    if (run.id === "") await loseRunningAttempts(client, run.id,',
      ],
    ],
  },
  {
    name: "a lease is granted under the epoch of the one before",
    file: "src/server/store/queue.ts",
    caughtBy: 3,
    edits: [["epoch = epoch + 1", "epoch = GREATEST(epoch, 1)"]],
  },
];

export const MUTANTS: readonly Mutant[] = [
  ...IN_MEMORY.map((mutant) => ({ ...mutant, store: "memory" as const })),
  ...IN_POSTGRES.map((mutant) => ({ ...mutant, store: "postgres" as const })),
];
