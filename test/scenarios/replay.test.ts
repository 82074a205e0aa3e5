import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testImage } from "../setup/docker.ts";
import { LAUNCHER, ScenarioPlatform, until } from "./platform.ts";

const platform = new ScenarioPlatform();
const TAG = `berth-test/replayed:${process.pid}`;
after(async () => {
  await platform[Symbol.asyncDispose]();
  for (const image of docker("images", "--quiet", "--filter", `reference=${TAG}*`).split("\n").filter(Boolean))
    docker("rmi", "--force", image);
});

function docker(...args: string[]): string {
  return execFileSync("docker", args, { encoding: "utf8", env: { ...process.env, DOCKER_BUILDKIT: "0" } }).trim();
}

/** Builds an image that holds a marker, gives it the tag, and returns its id. */
async function tagImage(marker: string): Promise<string> {
  // Of this process alone: what others build from the same lines is the same image, and they remove it when they are done.
  const dockerfile = `FROM ${await testImage()}\nLABEL made-by=${process.pid}\nRUN echo ${marker} > /marker\n`;
  execFileSync("docker", ["build", "--quiet", "--tag", TAG, "-"], {
    input: dockerfile,
    env: { ...process.env, DOCKER_BUILDKIT: "0" },
  });
  return docker("image", "inspect", "--format", "{{.Id}}", TAG);
}

/** Containers of attempts of one run, of whichever installation. */
function containersOf(run: string): string {
  return docker("ps", "--all", "--quiet", "--filter", `label=berth.run=${run}`);
}

function replaysLeft(): string[] {
  const folder = join(platform.home, "replays");
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("replay_")) : [];
}

async function get(path: string) {
  const { url, token } = platform.endpoint();
  const answer = await fetch(`${url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
  return (await answer.json()) as { items: { id: string }[]; id: string };
}

for (const backend of ["process", "docker"]) {
  test(`on ${backend}, a failed attempt is run again with the same inputs, environment and end, and nothing is told to the server`, async () => {
    const image = backend === "docker" ? await testImage() : "none";
    const name = `same-${backend}`;
    platform.write(`${name}-source/words`, "from the source\n");
    const file = platform.write(`${name}.yaml`, {
      name,
      retry: 0,
      params: { seed: 7 },
      env: { GREETING: "hello" },
      environment: { image, source: `${name}-source` },
      steps: {
        rows: {
          run: 'seq 1 4 > "$BERTH_OUT/n"; mkdir "$BERTH_OUT/d"; echo deep > "$BERTH_OUT/d/f"',
          outputs: { n: "n", d: "d/" },
        },
        train: {
          matrix: { model: ["forest", "knn"] },
          inputs: { n: "rows.n" },
          run: 'echo "$BERTH_MATRIX_MODEL" > "$BERTH_OUT/m"',
          outputs: { m: "m" },
        },
        score: {
          batch: { over: "rows.n", size: 2 },
          inputs: { models: "train.m", d: "rows.d" },
          run: `cat "$BERTH_IN/batch" words "$BERTH_INPUT_D/f"; ls "$BERTH_INPUT_MODELS"
                env | grep -e ^BERTH_ -e ^GREETING | sed "s|$BERTH_DIR|FOLDER|g" | sort
                echo s > "$BERTH_OUT/s"; echo told >&2; [ "$BERTH_BATCH_INDEX" != 1 ] || exit 7`,
          outputs: { s: { path: "s", when: "always" } },
        },
      },
    });
    const ran = await platform.berth("run", file, "--backend", backend);
    assert.equal(ran.code, 1, `${ran.stdout}\n${ran.stderr}`);
    const { id } = await get(`/runs/${name}%231`);
    const state = async () =>
      JSON.stringify([await get(`/runs/${id}`), await get(`/runs/${id}/events`), await get("/runs")]);
    const before = await state();

    const log = await platform.berth("logs", `${name}#1`, "--step", "score[1]");
    const out = join(platform.folder, `out-${backend}`);
    const replayed = await platform.berth("replay", `${name}#1/score[1]`, "--output", out);
    assert.equal(replayed.code, 7, replayed.stderr);
    assert.match(replayed.stdout, /^3\n4\nfrom the source\ndeep\n/);
    assert.deepEqual(`${replayed.stdout}told\n`.split("\n").sort(), log.stdout.split("\n").sort());
    assert.match(replayed.stderr, /failed: exit-nonzero/);
    assert.match(replayed.stderr, /s\/s .*the same as version 1/);
    assert.equal(readFileSync(join(out, "s/s"), "utf8"), "s\n");

    const other = await platform.berth("replay", `${name}#1/train[model=knn]`, "--json", "--keep");
    assert.equal(other.code, 0, other.stderr);
    const told = JSON.parse(other.stdout);
    assert.deepEqual(
      [told.replay.state, told.original.state, told.outputs[0].before],
      ["succeeded", "succeeded", { version: 1, same: true }],
    );
    assert.equal(readFileSync(join(told.kept, "in/n"), "utf8"), "1\n2\n3\n4\n");
    assert.equal(readFileSync(told.outputs[0].path, "utf8"), "knn\n");

    const instead = await platform.berth(
      "replay",
      `${name}#1/score[1]`,
      "--",
      "sh",
      "-c",
      "cat $BERTH_IN/batch; exit 9",
    );
    assert.deepEqual([instead.code, instead.stdout], [9, "3\n4\n"]);

    const vague = await platform.berth("replay", `${name}#1/score`);
    assert.deepEqual(
      [vague.code, /choose one/.test(vague.stderr), /Failed: score\[1\]/.test(vague.stderr)],
      [2, true, true],
    );
    const unknown = await platform.berth("replay", `${name}#1/scroe`);
    assert.match(unknown.stderr, /did you mean "score"/);
    assert.match(
      (await platform.berth("replay", `${name}#1/rows`, "--attempt", "2")).stderr,
      /There are: 1 \(succeeded\)/,
    );

    assert.equal(await state(), before, "the server was told nothing");
    assert.deepEqual(replaysLeft(), []);
    if (backend === "docker") await until("its containers are gone", () => containersOf(id) === "");
  });
}

for (const backend of ["process", "docker"]) {
  test(`on ${backend}, --shell puts a person in the place of the step, with or without a terminal, and leaves nothing there`, async (t) => {
    const name = `shell-${backend}`;
    const file = platform.write(`${name}.yaml`, {
      name,
      retry: 0,
      environment: { image: backend === "docker" ? await testImage() : "none" },
      env: { GREETING: "hello" },
      steps: {
        rows: { run: 'echo rows > "$BERTH_OUT/n"', outputs: { n: "n" } },
        use: { inputs: { n: "rows.n" }, run: "echo first-line\nexit 3", outputs: { s: "s" } },
      },
    });
    assert.equal((await platform.berth("run", file, "--backend", backend)).code, 1);
    const { id } = await get(`/runs/${name}%231`);
    const options = { cwd: platform.project, env: platform.env, encoding: "utf8" } as const;

    const typed = 'cat "$BERTH_INPUT_N"; echo "$GREETING"; echo made > "$BERTH_OUT/s"; exit 5\n';
    const out = join(platform.folder, name);
    const piped = spawnSync(LAUNCHER, ["replay", `${name}#1/use`, "--shell", "-o", out], { ...options, input: typed });
    assert.deepEqual([piped.status, piped.stdout], [5, "rows\nhello\n"], piped.stderr);
    assert.match(piped.stderr, /The step runs:\n {2}echo first-line\n/);
    assert.equal(readFileSync(join(out, "s/s"), "utf8"), "made\n");

    // A terminal of its own: Ctrl-C is meant for what runs in it.
    const command = `stty cols 91 rows 33; ${LAUNCHER} replay ${name}#1/use --shell`;
    const terminal = spawn("script", ["-qec", command, "/dev/null"], {
      ...options,
      env: { ...platform.env, TERM: "dumb" },
    });
    t.after(() => terminal.kill("SIGKILL"));
    let shown = "";
    terminal.stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
    });
    const ended = new Promise((resolve) => terminal.once("close", resolve));
    const see = async (what: RegExp) => {
      await until(
        `${what} is shown`,
        () => what.test(shown),
        () => shown,
      );
      shown = "";
    };
    // What is typed before a shell listens may be lost, as at any terminal.
    // One shell asks behind its prompt where the cursor is, and clears the line.
    await see(/exit 3\r+\n[\s\S]*[#$] (.\[\w+)*$/);
    // A Ctrl-C that comes before the program has the foreground may be lost: it says itself that it has.
    terminal.stdin.write(`stty size; tty; cat "$BERTH_INPUT_N"; sh -c "echo rea''dy; exec sleep 600"\n`);
    await see(/33 91\r+\n\/dev\/pts\/\d+\r+\nrows\r+\nready\r+\n/);
    terminal.stdin.write("\u0003");
    await see(/[#$] (.\[\w+)*$/);
    terminal.stdin.write("echo still$((40 + 2))here; exit 6\n");
    await see(/still42here/);
    assert.equal(await ended, 6, shown);
    assert.deepEqual(replaysLeft(), []);
    if (backend === "docker") await until("its containers are gone", () => containersOf(id) === "");
    const both = await platform.berth("replay", `${name}#1/use`, "--shell", "--json");
    assert.deepEqual([both.code, /do not go together/.test(both.stderr)], [2, true]);
  });
}

test("a replay runs in the image that the attempt ran in, whatever its name stands for by now, and in another only if asked", async () => {
  const first = await tagImage("first");
  const file = platform.write("image.yaml", {
    name: "image",
    environment: { image: TAG },
    steps: { show: { run: "cat /marker" } },
  });
  const run = await platform.berth("run", file, "--backend", "docker");
  assert.equal(run.code, 0, run.stdout + run.stderr);
  await tagImage("second");
  const exact = await platform.berth("replay", "image#1/show");
  assert.deepEqual([exact.code, exact.stdout], [0, "first\n"]);
  docker("rmi", first);
  const gone = await platform.berth("replay", "image#1/show");
  assert.deepEqual([gone.code, gone.stdout], [3, ""]);
  assert.match(gone.stderr, new RegExp(`${first} is not on this machine any more`));
  assert.match(gone.stderr, /--rebuild/);
  const rebuilt = await platform.berth("replay", "image#1/show", "--rebuild", "--json");
  assert.equal(rebuilt.code, 0, rebuilt.stderr);
  assert.match(rebuilt.stderr, /another than the attempt's/);
  assert.match(rebuilt.stderr, /^second$/m);
  assert.equal(JSON.parse(rebuilt.stdout).image.exact, false);
  assert.deepEqual(replaysLeft(), []);
});

test("what was taken over from another run is replayed as that run made it; what never ran is refused", async () => {
  const go = join(platform.folder, "go");
  const file = platform.write("taken.yaml", {
    name: "taken",
    retry: 0,
    environment: { image: "none" },
    steps: {
      first: { run: 'echo "$BERTH_RUN_NUMBER"' },
      second: { needs: ["first"], run: `[ -e ${go} ]` },
      third: { needs: ["second"], run: "true" },
    },
  });
  assert.equal((await platform.berth("run", file, "--backend", "process")).code, 1);
  const never = await platform.berth("replay", "taken#1/third");
  assert.equal(never.code, 2);
  assert.match(never.stderr, /taken#1\/third never ran: it is skipped/);
  writeFileSync(go, "");
  assert.equal((await platform.berth("restart", "taken#1")).code, 0);
  const replayed = await platform.berth("replay", "taken#2/first");
  assert.deepEqual([replayed.code, replayed.stdout], [0, "1\n"]);
  assert.match(replayed.stderr, /taken#2 took the result of first over from taken#1/);
});

for (const backend of ["process", "docker"]) {
  test(`on ${backend}, Ctrl-C stops a replay and cleans up; what a killed one left is removed by the next`, async () => {
    const image = backend === "docker" ? await testImage() : "none";
    const name = `long-${backend}`;
    const file = platform.write(`${name}.yaml`, {
      name,
      retry: 0,
      environment: { image },
      steps: { wait: { run: "echo begun" } },
    });
    assert.equal((await platform.berth("run", file, "--backend", backend)).code, 0);
    const { id } = await get(`/runs/${name}%231`);
    const sleeping = ["replay", `${name}#1/wait`, "--", "sh", "-c", "echo begun; sleep 600"];

    const interrupted = platform.start(sleeping);
    await until(
      "it has begun",
      () => interrupted.output.stdout.includes("begun"),
      () => interrupted.output.stderr,
    );
    process.kill(interrupted.child.pid!, "SIGINT");
    const ended = await interrupted.ended;
    assert.equal(ended.code, 130, ended.stderr);
    assert.deepEqual(replaysLeft(), []);

    const killed = platform.start(sleeping);
    await until(
      "it has begun",
      () => killed.output.stdout.includes("begun"),
      () => killed.output.stderr,
    );
    process.kill(killed.child.pid!, "SIGKILL");
    await killed.ended;
    assert.equal(replaysLeft().length, 1);
    const next = await platform.berth("replay", `${name}#1/wait`);
    assert.deepEqual([next.code, next.stdout], [0, "begun\n"], next.stderr);
    assert.deepEqual(replaysLeft(), []);
    if (backend === "docker") await until("its containers are gone", () => containersOf(id) === "");
    await until(
      "its processes are gone",
      () => !platform.processes().some((line) => line.includes("sleep 600")),
      () => platform.processes().join("\n"),
    );
  });
}
