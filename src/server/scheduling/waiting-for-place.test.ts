import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../protocol/ids.ts";
import type { Waiting, WaitingForPlace } from "../../protocol/resources.ts";
import { beforeWorkers } from "./waiting-for-place.ts";

const WORKERS: Waiting = { summary: "here is about to take it.", possible: true, place: null, workers: [] };

function summary(place: Partial<WaitingForPlace>, workers = WORKERS): string {
  return beforeWorkers({ group: "g", limit: 2, holders: [], before: 0, ...place }, workers).summary;
}

function holders(count: number): WaitingForPlace["holders"] {
  return Array.from({ length: count }, (_, index) => ({
    id: newId("run"),
    name: `p#${index}`,
    state: "running" as const,
  }));
}

test("who waits for a place is told who holds them, and how many come before", () => {
  assert.equal(summary({ holders: holders(2) }), 'The group "g" has 2 places: p#0, p#1 hold a place.');
  const one = [{ ...holders(1)[0]!, state: "cancelling" as const }];
  assert.equal(
    summary({ limit: 1, holders: one, before: 1 }),
    'The group "g" has 1 place: p#0 (cancelling) holds a place, and 1 run is before it.',
  );
  assert.match(summary({ holders: holders(7), before: 3 }), /p#4 and 2 more hold a place, and 3 runs are before it/);
  assert.match(summary({}), /it is about to get one/);
});

test("that no worker could take the run is said along with it", () => {
  const impossible = { ...WORKERS, summary: "No worker is registered.", possible: false };
  assert.match(summary({ holders: holders(1) }, impossible), /holds a place\. No worker is registered\.$/);
});
