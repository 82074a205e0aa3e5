import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testImage } from "../setup/docker.ts";
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
  assert.match(misspelt.stderr, /did you mean "rows"\?\n.*its steps are rows, score, all/);
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
  const from = await platform.berth("restart", "again#2", "--from", "all", "--with-latest");
  assert.equal(from.code, 0, `${from.stdout}\n${from.stderr}`);
  assert.match(from.stderr, /version 1 is the newest: nothing changed/);
  const shown = (await platform.berth("run", "show", "again#3")).stdout;
  assert.match(shown, /restart of again#2/);
  assert.match(shown, /rows +succeeded in #1/);
  await platform.tidy();
});

test("of a matrix only the failed combinations run again, and the kept and the new ones are gathered together", async () => {
  const go = join(platform.folder, "go-matrix");
  const ledger = join(platform.folder, "ledger");
  const file = platform.write("models.yaml", {
    name: "models",
    retry: 0,
    environment: { image: "none" },
    steps: {
      train: {
        matrix: { model: ["forest", "knn"], depth: [1, 2] },
        run: `k="$BERTH_MATRIX_MODEL-$BERTH_MATRIX_DEPTH"; echo "$k" >> ${ledger}
              [ "$k" != knn-2 ] || [ -e ${go} ] || exit 4
              echo "$k of $BERTH_RUN_NUMBER" > "$BERTH_OUT/m"`,
        outputs: { m: "m" },
      },
      best: {
        inputs: { m: { from: "train.m", gather: "lines" } },
        run: 'cp "$BERTH_IN/m" "$BERTH_OUT/all"',
        outputs: { all: "all" },
      },
    },
  });
  assert.equal((await platform.berth("run", file, "--backend", "process")).code, 1);
  writeFileSync(go, "");
  const again = await platform.berth("restart", "models#1", "--json");
  assert.equal(again.code, 0, again.stderr);
  const taken = JSON.parse(again.stdout).steps.filter((step: { takenFrom: object | null }) => step.takenFrom !== null);
  assert.deepEqual(
    taken.map(({ key }: { key: string }) => key),
    ["train[model=forest,depth=1]", "train[model=forest,depth=2]", "train[model=knn,depth=1]"],
  );
  const ran = readFileSync(ledger, "utf8").trim().split("\n").sort();
  assert.deepEqual(ran, ["forest-1", "forest-2", "knn-1", "knn-2", "knn-2"]);
  const out = join(platform.folder, "out-models");
  assert.equal((await platform.berth("artifacts", "get", "models/best/all", "-o", out)).code, 0);
  assert.equal(readFileSync(join(out, "all"), "utf8"), "forest-1 of 1\nforest-2 of 1\nknn-1 of 1\nknn-2 of 2\n");

  const nothing = await platform.berth("restart", "models#2");
  assert.deepEqual([nothing.code, /--from train/.test(nothing.stderr)], [2, true], nothing.stderr);
  const unknown = await platform.berth("restart", "models#9");
  assert.deepEqual([unknown.code, /There is no run models#9/.test(unknown.stderr)], [2, true]);
});

test("on Docker, a restart runs in the images of the first run, and with --with-latest in what there is now", async (t) => {
  const tag = `berth-test/restarted:${process.pid}`;
  const base = await testImage();
  const env = { ...process.env, DOCKER_BUILDKIT: "0" };
  const made: string[] = [];
  t.after(() => execFileSync("docker", ["rmi", "--force", ...made], { env, stdio: "ignore" }));
  const tagImage = (marker: string) => {
    const input = `FROM ${base}\nRUN echo ${marker} > /marker\n`;
    execFileSync("docker", ["build", "--quiet", "--tag", tag, "-"], {
      env,
      input,
      stdio: ["pipe", "ignore", "ignore"],
    });
    made.push(execFileSync("docker", ["image", "inspect", "--format", "{{.Id}}", tag], { encoding: "utf8" }).trim());
  };
  tagImage("first");
  const pipeline = (last: object) => ({
    name: "images",
    retry: 0,
    environment: { image: tag },
    steps: {
      rows: { run: 'echo rows > "$BERTH_OUT/n"', outputs: { n: "n" } },
      last: { inputs: { n: "rows.n" }, run: 'cat /marker "$BERTH_IN/n"; exit 3', ...last },
    },
  });
  const file = platform.write("images.yaml", pipeline({}));
  assert.equal((await platform.berth("run", file, "--backend", "docker")).code, 1);
  tagImage("second");
  assert.equal((await platform.berth("restart", "images#1")).code, 1);
  assert.equal((await platform.berth("logs", "images#2", "--step", "last")).stdout, "first\nrows\n");

  platform.write("images.yaml", pipeline({ run: 'cat /marker "$BERTH_IN/n"' }));
  assert.equal((await platform.berth("run", file, "--backend", "docker")).code, 0);
  const latest = await platform.berth("restart", "images#1", "--with-latest");
  assert.equal(latest.code, 0, latest.stderr);
  assert.match(latest.stderr, /last runs again: command changed/);
  assert.equal((await platform.berth("logs", "images#4", "--step", "last")).stdout, "second\nrows\n");
  assert.match((await platform.berth("run", "show", "images#4")).stdout, /rows +succeeded in #1/);
  await platform.tidy();
});
