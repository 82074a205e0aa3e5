import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../../src/protocol/events.ts";
import { fault } from "../../src/protocol/faults.ts";
import type { Attempt, StepRun } from "../../src/protocol/resources.ts";
import { type AttemptLog, attemptLogs, type RunEvidence } from "./evidence.ts";
import { judge, type Verdict } from "./judge.ts";
import type { LedgerEntry } from "./ledger.ts";
import { isClean, summary } from "./summary.ts";
import { LOG_LINES } from "./workload.ts";

/** A judge that finds nothing is worth as much as its ability to find: one flaw is put into a clean case at a time. */

const RUN = "run_1";
const CLEAN: Verdict = { lost: [], duplicated: [], overlapping: [], stale: [], logGaps: [], wrongBytes: [] };
const WORDS = Array.from({ length: LOG_LINES }, (_, index) => `line ${index}\n`).join("");

const ASKED: RunEvent["body"] = { type: "run.cancel_requested", by: "chaos", reason: null };

interface Case {
  evidence: { -readonly [Key in keyof RunEvidence]: RunEvidence[Key] };
  ledger: LedgerEntry[];
}

/** One run under two leases: `make` was lost with the first worker and then succeeded, `close` runs in any case. */
function clean(): Case {
  return {
    evidence: {
      accepted: {
        id: RUN,
        cancelled: false,
        workload: {
          ...{ pipeline: {}, params: {}, backend: "process", expected: "succeeded" },
          ...{ steps: { make: "succeeded", close: "succeeded" }, inAnyCase: ["close"], withoutAttempt: [] },
        },
      },
      run: { state: "succeeded", epoch: 2, fault: null },
      steps: [stepRun("make", [attempt(1, "lost", 1), attempt(2, "succeeded", 2)]), closing()],
      outputs: [output("make", "d2"), output("close", "d3")],
      events: events([
        { type: "run.leased", worker: "w", workerName: "w", epoch: 1 },
        started("make", 1),
        { type: "run.released", epoch: 1, reason: "gone" },
        { type: "run.leased", worker: "v", workerName: "v", epoch: 2 },
        ...[started("make", 2), finished("make", 2), started("close", 1), finished("close", 1)],
        { type: "run.finished", state: "succeeded", fault: null },
      ]),
      logs: [log("make", 2, 2), log("close", 1, 2)],
    },
    ledger: [
      ...told("make", 1, 1, "life1", null),
      ...told("make", 2, 2, "life2", "d2"),
      ...told("close", 1, 2, "life3", "d3"),
    ],
  };
}

function closing(): StepRun {
  return stepRun("close", [attempt(1, "succeeded", 2)]);
}

function attempt(number: number, state: Attempt["state"], epoch: number): Attempt {
  return {
    ...{ attempt: number, state, epoch, worker: { id: "worker_1", name: "w" }, backend: "process", object: "o" },
    ...{
      exitCode: state === "succeeded" ? 0 : null,
      signal: null,
      fault: null,
      progress: null,
      timeline: [],
      phases: {},
      usage: {},
      warnings: [],
    },
    ...{ image: null, memoryBytes: null, runEnd: null, startedAt: "2026-01-01T00:00:00Z", finishedAt: null },
  };
}

function stepRun(key: string, attempts: Attempt[], state: StepRun["state"] = "succeeded"): StepRun {
  return {
    ...{ key, step: key, matrix: null, item: null, parent: null, items: null, state, takenFrom: null },
    ...{ mayFail: false, fault: null, startedAt: null, finishedAt: null, attempts },
  };
}

function output(key: string, digest: string): RunEvidence["outputs"][number] {
  return { stepRun: key, name: "out", digest };
}

function log(key: string, number: number, epoch: number): AttemptLog {
  return { stepRun: key, attempt: number, epoch, text: WORDS, breaks: 0 };
}

function told(key: string, number: number, epoch: number, life: string, digest: string | null): LedgerEntry[] {
  const entry = { run: RUN, stepRun: key, attempt: number, epoch, life, digest: null };
  const begun = [
    { ...entry, word: "begin" as const },
    { ...entry, word: "beat" as const },
  ];
  return digest === null ? begun : [...begun, { ...entry, word: "end", digest }];
}

function started(key: string, number: number): RunEvent["body"] {
  return { type: "attempt.started", stepRun: key, attempt: number, backend: "process", object: "o" };
}

function finished(key: string, number: number): RunEvent["body"] {
  return {
    ...{ type: "attempt.finished", stepRun: key, attempt: number, state: "succeeded", stepState: "succeeded" },
    ...{ exitCode: 0, signal: null, fault: null, phases: {}, usage: {}, outputs: [], inputs: [], warnings: [] },
  };
}

function events(bodies: readonly RunEvent["body"][]): RunEvent[] {
  return bodies.map((body, index) => ({ seq: index + 1, at: "2026-01-01T00:00:00Z", body }));
}

/** How many of each kind the judge finds when this was done to the clean case. */
function counts(spoil: (found: Case) => void): Partial<Record<keyof Verdict, number>> {
  const found = clean();
  spoil(found);
  const verdict = judge([found.evidence], found.ledger);
  return Object.fromEntries(
    Object.entries(verdict).flatMap(([name, { length }]) => (length === 0 ? [] : [[name, length]])),
  );
}

test("a run that was handed over and did all of its work once is found to be clean", () => {
  const { evidence, ledger } = clean();
  assert.deepEqual(judge([evidence], ledger), CLEAN);
});

test("a run that did not end, or not as it had to, is lost, and so is one of its steps", () => {
  const unended = counts(({ evidence }) => {
    evidence.run = { ...evidence.run, state: "running" };
  });
  assert.deepEqual(unended, { lost: 1 });
  const failed = counts(({ evidence }) => {
    evidence.run = { state: "failed", epoch: 2, fault: fault("node-lost", "gone") };
  });
  assert.deepEqual(failed, { lost: 1 });
  const without = counts(({ evidence }) => {
    evidence.steps = [evidence.steps[0]!];
  });
  assert.deepEqual(without, { lost: 1 }, "a step run that is not there");
  const open = counts(({ evidence }) => {
    evidence.steps = [evidence.steps[0]!, stepRun("close", [], "running")];
  });
  assert.deepEqual(open, { lost: 2 }, "a step run that has not ended, and so not as it had to");
  const noOutput = counts(({ evidence }) => {
    evidence.outputs = [output("make", "d2")];
  });
  assert.deepEqual(noOutput, { lost: 1 });
});

test("a cancelled run has done what it does in any case, unless no worker had it or its worker was lost", () => {
  const cancelled = (last: readonly RunEvent["body"][]) =>
    counts(({ evidence }) => {
      evidence.accepted = { ...evidence.accepted, cancelled: true };
      evidence.run = { state: "cancelled", epoch: 2, fault: fault("cancelled", "chaos") };
      evidence.steps = [stepRun("make", [], "cancelled"), stepRun("close", [], "cancelled")];
      evidence.outputs = [];
      const leased = { type: "run.leased", worker: "w", workerName: "w", epoch: 2 } as const;
      evidence.events = events([leased, ASKED, ...last, { type: "run.finished", state: "cancelled", fault: null }]);
    });
  assert.deepEqual(cancelled([]), { lost: 1 });
  assert.deepEqual(cancelled([{ type: "run.released", epoch: 2, reason: "gone" }]), {});
  const late = (asked: readonly RunEvent["body"][]) =>
    counts(({ evidence }) => {
      evidence.accepted = { ...evidence.accepted, cancelled: true };
      evidence.steps = [stepRun("make", [], "cancelled"), closing()];
      evidence.outputs = [output("close", "d3")];
      evidence.events = events([...asked, ...evidence.events.slice(3).map(({ body }) => body)]);
    });
  assert.deepEqual(late([ASKED]), {}, "a cancel at the end of a run may still reach a step");
  assert.deepEqual(late([]), { lost: 1 }, "one that came after the end changes nothing");
  const unasked = counts(({ evidence }) => {
    evidence.run = { state: "cancelled", epoch: 2, fault: fault("cancelled", "?") };
  });
  assert.deepEqual(unasked, { lost: 1 }, "a run that nobody cancelled");
});

test("two successes, two outputs under one name, and an attempt that was executed twice are duplicates", () => {
  const successes = counts(({ evidence }) => {
    evidence.steps = [
      stepRun("make", [attempt(1, "lost", 1), attempt(2, "succeeded", 2), attempt(3, "succeeded", 2)]),
      closing(),
    ];
  });
  assert.deepEqual(successes, { duplicated: 1, logGaps: 1 });
  const outputs = counts(({ evidence }) => {
    evidence.outputs = [...evidence.outputs, output("make", "d2")];
  });
  assert.deepEqual(outputs, { duplicated: 1 });
  const executed = counts(({ ledger }) => {
    ledger.push(...told("make", 1, 1, "life4", null).filter(({ word }) => word === "begin"));
  });
  assert.deepEqual(executed, { duplicated: 1 }, "under one lease an attempt is executed once");
  const handedOver = counts(({ ledger }) => {
    ledger.unshift(...told("close", 1, 1, "life4", "d4"));
  });
  assert.deepEqual(handedOver, {}, "what was not reported may be done again under the next lease");
});

test("an attempt that still works when the next one under the same lease has begun overlaps it", () => {
  const late = (epoch: number) =>
    counts(({ ledger }) => {
      ledger.unshift(...told("make", 1, 2, "life0", null));
      ledger.push(
        ...told("make", 1, epoch, epoch === 2 ? "life0" : "life1", null).filter(({ word }) => word === "beat"),
      );
    });
  assert.deepEqual(late(2), { overlapping: 1 });
  assert.deepEqual(late(1), {}, "its worker was given up, and did not know");
  const repeated = counts(({ ledger }) => {
    ledger.unshift(...told("make", 2, 1, "life4", null));
  });
  assert.deepEqual(repeated, { overlapping: 2 }, "the first attempt of the first lease begins after the second");
});

test("a report from a lease that is over, or that was taken from nobody, is a stale write", () => {
  const insert = (body: RunEvent["body"], at: number) =>
    counts(({ evidence }) => {
      evidence.events = events(evidence.events.map((event) => event.body).toSpliced(at, 0, body));
    });
  assert.deepEqual(insert(finished("make", 1), 4), { stale: 1 }, "under the next lease");
  assert.deepEqual(insert(finished("make", 1), 3), { stale: 1 }, "while nobody had the run");
  assert.deepEqual(insert(finished("make", 2), 9), { stale: 1 }, "after its end");
  const untold = counts(({ ledger }) => {
    ledger.splice(0, ledger.length, ...ledger.filter(({ word, stepRun: key }) => word !== "end" || key !== "close"));
  });
  assert.deepEqual(untold, { stale: 1, wrongBytes: 1 }, "a success that the step did not tell of");
  const unattempted = counts(({ evidence, ledger }) => {
    evidence.steps = [evidence.steps[0]!, stepRun("close", [])];
    ledger.splice(0, ledger.length, ...ledger.filter(({ stepRun: key }) => key !== "close"));
  });
  assert.deepEqual(unattempted, { stale: 1 }, "a success without an attempt");
});

test("a log with lines or bytes missing, repeated or out of order has a gap", () => {
  const spoil = (change: Partial<AttemptLog> | null) =>
    counts(({ evidence }) => {
      evidence.logs = [log("close", 1, 2), ...(change === null ? [] : [{ ...log("make", 2, 2), ...change }])];
    });
  assert.deepEqual(spoil(null), { logGaps: 1 });
  assert.deepEqual(spoil({ text: WORDS.replace("line 7\n", "") }), { logGaps: 1 });
  assert.deepEqual(spoil({ text: `${WORDS}line 39\n` }), { logGaps: 1 });
  assert.deepEqual(spoil({ text: WORDS.replace("line 7\nline 8\n", "line 8\nline 7\n") }), { logGaps: 1 });
  assert.deepEqual(spoil({ breaks: 1 }), { logGaps: 1 });
  assert.deepEqual(spoil({ epoch: 1 }), { logGaps: 1 }, "the log of another lease");
  const ofLost = (text: string, breaks = 0) =>
    counts(({ evidence, ledger }) => {
      evidence.steps = [
        stepRun("make", [{ ...attempt(1, "failed", 1), exitCode: 1 }, attempt(2, "succeeded", 2)]),
        closing(),
      ];
      evidence.logs = [...evidence.logs, { ...log("make", 1, 1), text, breaks }];
      ledger.splice(2, 0, told("make", 1, 1, "life1", "d1").at(-1)!);
    });
  assert.deepEqual(ofLost("line 0\nline 1\n"), {}, "a lost lease takes the end of a log with it");
  assert.deepEqual(ofLost("line 1\n"), { logGaps: 1 }, "and nothing else of it");
  assert.deepEqual(ofLost("line 0\n", 1), { logGaps: 1 });
});

test("chunks of a log are put together by their offsets, and what is missing or twice there is a break", () => {
  const chunk = (offset: number, text: string) =>
    JSON.stringify({
      ...{ stepRun: "make", attempt: 1, epoch: 1, stream: "stdout", offset, at: "2026-01-01T00:00:00Z" },
      data: Buffer.from(text).toString("base64"),
    });
  const read = (...chunks: string[]) => attemptLogs(chunks.join("\n")).map(({ text, breaks }) => ({ text, breaks }));
  assert.deepEqual(read(chunk(2, "cd"), chunk(0, "ab")), [{ text: "abcd", breaks: 0 }]);
  assert.deepEqual(read(chunk(0, "ab"), chunk(3, "d")), [{ text: "abd", breaks: 1 }]);
  assert.deepEqual(read(chunk(0, "ab"), chunk(1, "bc")), [{ text: "abbc", breaks: 1 }]);
  assert.deepEqual(read(chunk(1, "b")), [{ text: "b", breaks: 1 }]);
});

test("bytes that their producer did not have, and a cached result that nobody made, are wrong", () => {
  const other = counts(({ evidence }) => {
    evidence.outputs = [output("make", "other"), output("close", "d3")];
  });
  assert.deepEqual(other, { wrongBytes: 1 });
  const cached = (digest: string) =>
    counts(({ evidence }) => {
      const content = {
        kind: "file",
        digest,
        size: 1,
        fileCount: 1,
        fileName: "out",
        contentType: "text/plain",
      } as const;
      const body: RunEvent["body"] = {
        type: "step.cached",
        ...{ stepRun: "make", cache: { key: "0".repeat(64), components: {} } },
        ...{ from: { run: RUN, number: 1 }, outputs: [{ name: "out", content }] },
      };
      evidence.events = [...evidence.events, { seq: 99, at: "2026-01-01T00:00:00Z", body }];
    });
  assert.deepEqual(cached("d2"), {});
  assert.deepEqual(cached("other"), { wrongBytes: 1 });
});

test("the summary has a line for each count, and one left-over alone is enough to fail", () => {
  const result = {
    runs: 3,
    attempts: 9,
    cached: 2,
    handOvers: 1,
    faults: { b: 2, a: 5 },
    verdict: CLEAN,
    leftovers: [],
    defects: [],
  };
  assert.equal(isClean(result), true);
  assert.equal(isClean({ ...result, leftovers: ["container 1"] }), false);
  assert.equal(isClean({ ...result, defects: ["server-0 ended with 1"] }), false);
  for (const name of Object.keys(CLEAN) as (keyof Verdict)[]) {
    assert.equal(isClean({ ...result, verdict: { ...CLEAN, [name]: ["one"] } }), false, name);
  }
  const lines = summary({ ...result, leftovers: ["container 1"] }).split("\n");
  assert.deepEqual(
    lines.map((line) => line.trim().replace(/\s{2,}/, " ")),
    [
      ...[
        "runs 3",
        "attempts 9",
        "results taken from the cache 2",
        "leased again 1",
        "injected faults 7",
        "a 5",
        "b 2",
        "lost 0",
      ],
      ...[
        "duplicated 0",
        "overlapping 0",
        "stale writes 0",
        "log gaps 0",
        "wrong bytes 0",
        "leftovers 1",
        "container 1",
        "crashes and internal errors 0",
      ],
    ],
  );
});
