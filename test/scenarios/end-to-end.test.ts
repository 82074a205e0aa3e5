import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureDocker, type TestDocker, testImage } from "../setup/docker.ts";
import { ScenarioPlatform } from "./platform.ts";

/** What Berth is for, from a file to its results, byte by byte. */

const platform = new ScenarioPlatform();
let docker: TestDocker;
before(async () => {
  docker = await ensureDocker();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

/** Runs a pipeline to its good end; says what was printed. */
async function succeed(pipeline: object, backend: "docker" | "process"): Promise<string> {
  const file = platform.write("pipeline.yaml", pipeline);
  const { code, stdout, stderr } = await platform.berth("run", file, "--backend", backend);
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  await platform.tidy();
  return stdout;
}

let downloads = 0;

/** Downloads an artifact; says into which folder. */
async function get(artifact: string): Promise<string> {
  const folder = join(platform.folder, `got-${downloads++}`);
  const { code, stderr } = await platform.berth("artifacts", "get", artifact, "-o", folder);
  assert.equal(code, 0, stderr);
  return folder;
}

async function text(artifact: string): Promise<string> {
  const folder = await get(artifact);
  const names = readdirSync(folder);
  assert.equal(names.length, 1);
  return readFileSync(join(folder, names[0]!), "utf8");
}

const NONE = { image: "none" };

for (const backend of ["process", "docker"] as const) {
  test(`serial, parallel, matrix and batch steps hand their artifacts on, on ${backend}`, async () => {
    const name = `all-${backend}`;
    await succeed(
      {
        name,
        environment: backend === "docker" ? { image: await testImage() } : NONE,
        params: { most: { type: "integer", default: 20 } },
        steps: {
          numbers: { run: 'seq 1 ${{ params.most }} > "$BERTH_OUT/n"', outputs: { n: "n" } },
          square: {
            batch: { over: "numbers.n", size: 7, parallel: 2 },
            run: `while read n; do echo $((n * n)); done < "$BERTH_IN/batch" > "$BERTH_OUT/s"`,
            outputs: { s: "s" },
          },
          times: {
            matrix: { by: [2, 3] },
            inputs: { n: "numbers.n" },
            run: `echo $(($(wc -l < "$BERTH_IN/n") * \${{ matrix.by }})) > "$BERTH_OUT/t"`,
            outputs: { t: "t" },
          },
          all: {
            inputs: { s: { from: "square.s", gather: "lines" }, t: { from: "times.t", gather: "lines" } },
            run: 'cat "$BERTH_IN/s" "$BERTH_IN/t" > "$BERTH_OUT/all"',
            outputs: { all: "all" },
          },
        },
      },
      backend,
    );
    const squares = Array.from({ length: 20 }, (_, index) => (index + 1) ** 2);
    assert.equal(await text(`${name}/all/all`), `${[...squares, 40, 60].join("\n")}\n`);
  });
}

test("in serial mode steps run one after the other, in the order of the file", async () => {
  const step = { run: "true" };
  const stdout = await succeed(
    { name: "serial", mode: "serial", environment: NONE, steps: { c: step, a: step, b: step } },
    "process",
  );
  const told = [...stdout.matchAll(/^([abc]) (started|succeeded)/gm)].map(([, name, what]) => `${name} ${what}`);
  assert.deepEqual(
    told,
    ["c", "a", "b"].flatMap((name) => [`${name} started`, `${name} succeeded`]),
  );
});

test("a Python function gets its inputs as arguments, and what it returns becomes its output", async () => {
  platform.write("code/calc.py", "def double(n: int, seed: int):\n    return {'n': n * 2, 'seed': seed}\n");
  await succeed(
    {
      name: "python",
      params: { seed: { type: "integer", default: 7 } },
      environment: { image: "none", source: "code" },
      steps: {
        one: { run: 'echo 21 > "$BERTH_OUT/n.json"', outputs: { n: { path: "n.json", type: "json" } } },
        two: {
          python: "calc:double",
          inputs: { n: "one.n" },
          outputs: { r: { path: "r.json", type: "json" } },
        },
      },
    },
    "process",
  );
  assert.deepEqual(JSON.parse(await text("python/two/r")), { n: 42, seed: 7 });
});

test("files and folders come back byte by byte, and a second run makes a second version", async () => {
  const bytes = randomBytes(5_000_000);
  const data = platform.write("data/input.bin", "");
  writeFileSync(join(platform.project, data), bytes);
  const pipeline = {
    name: "bytes",
    environment: { image: "none", source: "data" },
    steps: {
      make: {
        run: `cp input.bin "$BERTH_OUT/big"; mkdir -p "$BERTH_OUT/d/sub/empty"
              printf x > "$BERTH_OUT/d/sub/x"; chmod 755 "$BERTH_OUT/d/sub/x"; cp input.bin "$BERTH_OUT/d/a b"`,
        outputs: { big: "big", d: "d/" },
      },
      // Reads it as the next step does, on the same worker.
      sum: {
        inputs: { big: "make.big", d: "make.d" },
        run: 'sha256sum < "$BERTH_IN/big" > "$BERTH_OUT/s"; cat "$BERTH_IN/d/sub/x" >> "$BERTH_OUT/s"',
        outputs: { s: "s" },
      },
    },
  };
  await succeed(pipeline, "process");
  assert.ok(readFileSync(join(await get("bytes/make/big/1"), "big")).equals(bytes));
  const folder = await get("bytes/make/d");
  const root = readdirSync(folder).includes("d") ? join(folder, "d") : folder;
  assert.ok(readFileSync(join(root, "a b")).equals(bytes));
  assert.equal(readFileSync(join(root, "sub/x"), "utf8"), "x");
  assert.equal(await text("bytes/sum/s"), `${createHash("sha256").update(bytes).digest("hex")}  -\nx`);
  await succeed(pipeline, "process");
  assert.ok(readFileSync(join(await get("bytes/make/big/2"), "big")).equals(bytes));
});

test("an image is built from a recipe once, and again when its source changes", async (t) => {
  // A name of its own, since images outlive the platform that built them.
  const name = `built-${randomBytes(4).toString("hex")}`;
  t.after(() => spawnSync("sh", ["-c", `docker images --quiet berth/${name} | xargs -r docker rmi --force`]));
  const pipeline = {
    name,
    environment: { base: await testImage(), source: "app", env: { GREETING: "hello" } },
    steps: { say: { run: 'echo "$GREETING $(cat word)" > "$BERTH_OUT/said"', outputs: { said: "said" } } },
  };
  platform.write("app/word", "world");
  assert.match(await succeed(pipeline, "docker"), /FROM (docker\.io\/)?berth-test\/busybox/);
  assert.equal(await text(`${name}/say/said`), "hello world\n");
  assert.doesNotMatch(await succeed(pipeline, "docker"), /FROM /, "nothing changed, so nothing is built");
  platform.write("app/word", "moon");
  await succeed(pipeline, "docker");
  assert.equal(await text(`${name}/say/said`), "hello moon\n");
});
