import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import type { BackendSession, Handle, Stats } from "../backends/execution-backend.ts";
import type { UsageSeries } from "../protocol/attempt-usage.ts";
import { until } from "./testing/until.ts";
import { UsageSampler } from "./usage-sampler.ts";

function handle(name: string): Handle {
  return { backend: "fake", name, folder: "/nowhere", ref: { run: "r", scope: "s", stepRun: name, attempt: 1 } };
}

/** A platform that counts how often it is asked, and for how many at once. */
function platform(stats: (name: string) => Stats | null) {
  const asked: number[] = [];
  const session = {
    stats: async (handles: readonly Handle[]) => {
      asked.push(handles.length);
      return new Map(
        handles.flatMap(({ name }) => {
          const figures = stats(name);
          return figures === null ? [] : [[name, figures] as const];
        }),
      );
    },
  } as unknown as BackendSession;
  return { asked, session };
}

function sampler(t: TestContext): UsageSampler {
  const opened = new UsageSampler(pino({ level: "silent" }));
  t.after(() => opened[Symbol.dispose]());
  return opened;
}

test("attempts are looked at together after a second, and not before, and their peak of processes is kept", async (t) => {
  let pids = 0;
  const { asked, session } = platform(() => {
    pids += 1;
    return { cpuMs: 1.4, memoryBytes: 5, pids };
  });
  const looks = sampler(t);
  const series: UsageSeries[] = [];
  const startedAt = performance.now();
  const follow = (name: string) =>
    looks.follow({ session, handle: handle(name), isAlone: () => false, onSeries: (one) => series.push(one) });
  const [first, second] = [follow("a"), follow("b")];
  await until("the first look", () => asked.length === 1);
  assert.ok(performance.now() - startedAt >= 750, "within what is gathered");
  assert.deepEqual(asked, [2]);
  await until("the second look", () => asked.length === 2);
  assert.equal(first.end().pidsPeak, 3);
  assert.deepEqual(
    series.map(({ cpuMs, pids: counts }) => [cpuMs, counts]),
    [
      [
        [1, 1],
        [1, 3],
      ],
    ],
  );
  assert.equal(second.end().last?.pids, 4);
});

test("an attempt that is over before the first look costs nothing, and has no series", async (t) => {
  const { asked, session } = platform(() => ({ cpuMs: 1 }));
  const looks = sampler(t);
  const short = looks.follow({
    session,
    handle: handle("short"),
    isAlone: () => true,
    onSeries: () => assert.fail("nothing was seen"),
  });
  assert.deepEqual(short.end(), { last: null, pidsPeak: null });
  const long = looks.follow({ session, handle: handle("long"), isAlone: () => true, onSeries: () => {} });
  await until("a look", () => asked.length === 1);
  assert.deepEqual(asked, [1]);
  long.end();
});

test("the network's figures are those of an attempt only while it is alone there", async (t) => {
  const { asked, session } = platform(() => ({ cpuMs: 1, receivedBytes: 10, sentBytes: 20 }));
  const looks = sampler(t);
  let alone = true;
  const series: UsageSeries[] = [];
  const one = looks.follow({
    session,
    handle: handle("one"),
    isAlone: () => alone,
    onSeries: (seen) => series.push(seen),
  });
  await until("a look", () => asked.length === 1);
  alone = false;
  await until("another look", () => asked.length === 2);
  one.end();
  assert.deepEqual(
    [series[0]!.receivedBytes, series[0]!.sentBytes],
    [
      [10, null],
      [20, null],
    ],
  );
});

test("a platform that cannot be asked for a while costs points of the curve, and nothing else", async (t) => {
  let tries = 0;
  const { session } = platform(() => {
    tries += 1;
    if (tries === 1) throw new Error("the platform is away");
    return { cpuMs: tries };
  });
  const looks = sampler(t);
  const one = looks.follow({ session, handle: handle("one"), isAlone: () => true, onSeries: () => {} });
  await until("it works again", () => tries === 2);
  assert.equal(one.end().last?.cpuMs, 2);
});
