import assert from "node:assert/strict";
import { test } from "node:test";
import { CACHE_LOOKUPS_MAX, type CacheHit, type CacheLookup } from "../protocol/cache.ts";
import { newId } from "../protocol/ids.ts";
import { CacheLookups } from "./cache-lookups.ts";

const NEVER = new AbortController().signal;

function lookup(stepRun: string): CacheLookup {
  return { stepRun, key: stepRun, ttlMs: null };
}

function hitOf({ stepRun }: CacheLookup): CacheHit {
  return { run: newId("run"), number: Number(stepRun), outputs: {} };
}

/** A server that notes what it is asked, and answers when it is told to. */
function slowServer() {
  const asked: string[][] = [];
  let go = Promise.withResolvers<void>();
  const lookups = new CacheLookups(async (wanted) => {
    asked.push(wanted.map(({ stepRun }) => stepRun));
    await go.promise;
    return wanted.map(hitOf);
  });
  return {
    asked,
    lookups,
    answer: () => go.resolve(),
    refuse: () => go.reject(new Error("away")),
    again: () => (go = Promise.withResolvers()),
  };
}

test("what becomes ready together is asked in one request, up to its limit; what becomes ready meanwhile, in the next", async () => {
  const { asked, lookups, answer } = slowServer();
  const count = CACHE_LOOKUPS_MAX + 5;
  const found = Array.from({ length: count }, (_, index) => lookups.find(lookup(String(index)), NEVER));
  await new Promise((turn) => setImmediate(turn));
  found.push(lookups.find(lookup("late"), NEVER));
  assert.deepEqual(
    asked.map(({ length }) => length),
    [CACHE_LOOKUPS_MAX],
    "one request at a time",
  );
  answer();
  const hits = await Promise.all(found.slice(0, count));
  assert.deepEqual(
    hits.map((hit) => hit?.number),
    Array.from({ length: count }, (_, index) => index),
  );
  await found.at(-1);
  assert.deepEqual(asked.slice(1), [
    [...Array.from({ length: 5 }, (_, index) => String(CACHE_LOOKUPS_MAX + index)), "late"],
  ]);
});

test("a request that fails fails what it asked about; what is asked afterwards is asked anew", async () => {
  const { lookups, refuse, answer, again } = slowServer();
  const failed = [lookups.find(lookup("1"), NEVER), lookups.find(lookup("2"), NEVER)];
  const ends = Promise.allSettled(failed);
  await new Promise((turn) => setImmediate(turn));
  refuse();
  assert.deepEqual(
    (await ends).map(({ status }) => status),
    ["rejected", "rejected"],
  );
  again();
  answer();
  assert.equal((await lookups.find(lookup("3"), NEVER))?.number, 3);
});
