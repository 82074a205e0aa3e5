import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

test("a restart runs only what failed again, of a batch only its failed items, and gathers old and new items", async () => {
  const go = join(platform.folder, "go");
  const count = join(platform.folder, "count");
  const file = platform.write("again.yaml", {
    name: "again",
    retry: 0,
    environment: { image: "none" },
    steps: {
      rows: { run: `echo rows >> ${count}; seq 1 4 > "$BERTH_OUT/n"`, outputs: { n: "n" } },
      score: {
        batch: { over: "rows.n", size: 1, parallel: 4 },
        run: `n=$(cat "$BERTH_IN/batch"); echo "item $n" >> ${count}; [ "$n" != 4 ] || [ -e ${go} ] || { sleep 2; exit 3; }
              echo "s$n" > "$BERTH_OUT/s"`,
        outputs: { s: "s" },
      },
      all: {
        inputs: { s: { from: "score.s", gather: "lines" } },
        run: 'cp "$BERTH_IN/s" "$BERTH_OUT/all"',
        outputs: { all: "all" },
      },
    },
  });
  const first = await platform.berth("run", file, "--backend", "process");
  assert.equal(first.code, 1, `${first.stdout}\n${first.stderr}`);
  const misspelt = await platform.berth("restart", "again#1", "--from", "rwos");
  assert.match(misspelt.stderr, /did you mean "rows"/);
  assert.equal(misspelt.code, 2);
  writeFileSync(go, "");
  const second = await platform.berth("restart", "again#1", "--json");
  assert.equal(second.code, 0, `${second.stdout}\n${second.stderr}`);
  const { run, steps } = JSON.parse(second.stdout);
  assert.equal(run.restartOf.number, 1);
  assert.deepEqual(
    steps
      .filter((step: { takenFrom: object | null }) => step.takenFrom !== null)
      .map(({ key }: { key: string }) => key),
    ["rows", "score[0]", "score[1]", "score[2]"],
  );
  const counted = readFileSync(count, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .sort();
  assert.deepEqual(counted, ["item 1", "item 2", "item 3", "item 4", "item 4", "rows"]);
  const out = join(platform.folder, "out");
  assert.equal((await platform.berth("artifacts", "get", "again/all/all", "-o", out)).code, 0);
  assert.equal(readFileSync(join(out, "all"), "utf8"), "s1\ns2\ns3\ns4\n");
  assert.equal((await platform.berth("artifacts", "get", "again/score/s", "-o", out)).code, 0);
  assert.equal(readdirSync(join(out, "s")).length, 4);
  const nothing = await platform.berth("restart", "again#2");
  assert.match(nothing.stderr, /nothing to run again/);
  const from = await platform.berth("restart", "again#2", "--from", "all");
  assert.equal(from.code, 0, `${from.stdout}\n${from.stderr}`);
  const shown = (await platform.berth("run", "show", "again#3")).stdout;
  assert.match(shown, /restart of again#2/);
  assert.match(shown, /rows +succeeded in #1/);
  await platform.tidy();
});
