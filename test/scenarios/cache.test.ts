import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ScenarioPlatform } from "./platform.ts";

/** Lines that the steps wrote to a ledger outside of Berth since it was asked last: what really ran. */
function ranSince(ledger: string): string[] {
  const lines = existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n").toSorted() : [];
  rmSync(ledger, { force: true });
  return lines;
}

test("what was made from the same is taken, and what changed is named: plan before, explanation after, and a way to turn it off", async () => {
  await using platform = new ScenarioPlatform();
  const ledger = join(platform.folder, "ledger");
  const note = (what: string) => `echo ${what} >> ${ledger}`;
  const file = platform.write("cached.yaml", {
    name: "cached",
    params: { count: 3 },
    environment: { image: "none" },
    env: { MODE: "slow" },
    steps: {
      rows: {
        cache: true,
        run: `${note("rows")}; seq 1 "\${{ params.count }}" > "$BERTH_OUT/rows"`,
        outputs: { rows: "rows" },
      },
      score: {
        cache: { key: "v1" },
        batch: { over: "rows.rows", size: 1 },
        run: `${note('score-$(cat "$BERTH_IN/batch")')}; echo "s$(cat "$BERTH_IN/batch")" > "$BERTH_OUT/s"`,
        outputs: { s: "s" },
      },
      all: {
        cache: true,
        inputs: { s: { from: "score.s", gather: "lines" } },
        run: `${note("all")}; cp "$BERTH_IN/s" "$BERTH_OUT/all"`,
        outputs: { all: "all" },
      },
      always: { needs: ["all"], run: note("always") },
    },
  });
  const berth = async (...args: string[]) => {
    const ended = await platform.berth(...args);
    assert.equal(ended.code, 0, `${args.join(" ")}\n${ended.stdout}\n${ended.stderr}`);
    return ended.stdout;
  };
  const run = (...args: string[]) => berth("run", file, "--backend", "process", ...args);

  assert.match(await berth("cache", "plan", file), /0 hits, 1 miss, 2 open, 1 without a cache/);
  await run();
  assert.deepEqual(ranSince(ledger), ["all", "always", "rows", "score-1", "score-2", "score-3"]);

  const second = await run();
  assert.deepEqual(ranSince(ledger), ["always"]);
  assert.match(second, /rows taken from the cache: made by run #1/);
  assert.match(second, /✓ {2}all +succeeded in #1/);
  assert.match(await berth("cache", "plan", file), /rows +hit +made by run #1/);
  assert.match(await berth("cache", "explain", "cached#2/all"), /all: taken from run #1/);
  await berth("artifacts", "get", "cached/all/all", "-o", "got");
  assert.equal(readFileSync(join(platform.project, "got/all"), "utf8"), "s1\ns2\ns3\n");

  const changed = await berth("cache", "plan", file, "--param", "count=4");
  assert.match(changed, /rows: params\.count changed: 3 → 4/);
  await run("--param", "count=4");
  // The parameter is part of every key: no result of another count is taken.
  assert.deepEqual(ranSince(ledger), ["all", "always", "rows", "score-1", "score-2", "score-3", "score-4"]);
  const why = await berth("cache", "explain", "cached#3/all");
  assert.match(why, /all: ran, not as in run #1:\n {2}input s changed: .* → .*\n {2}params\.count changed: 3 → 4/);

  await run("--no-cache");
  assert.equal(ranSince(ledger).length, 6);
  assert.match(
    await berth("cache", "explain", "cached#4/rows"),
    /although nothing changed since run #1: the cache was off/,
  );
  assert.equal(await berth("cache", "explain", "cached#4/always"), "");
  const wrong = await platform.berth("cache", "explain", "cached#4/rwos");
  assert.deepEqual(
    [wrong.code, /has no step "rwos", did you mean "rows"\?/.test(wrong.stderr)],
    [2, true],
    wrong.stderr,
  );
  assert.equal((await platform.berth("cache", "clear", "cached", "--step", "rwos")).code, 2);

  assert.match(await berth("cache", "clear", "cached", "--step", "rows"), /3 results are not taken any more/);
  await run();
  assert.match(await berth("cache", "explain", "cached#5/rows"), /since run #4: that result was given up/);
  assert.deepEqual(ranSince(ledger), ["always", "rows"]);
});
