import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { secretsParent } from "../../src/runtime/secret-folder.ts";
import { testImage } from "../setup/docker.ts";
import { ScenarioPlatform, until } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

/** In no file of the pipeline or the tests: wherever it is found, it came from the secret. */
const CANARY = `canary-${randomBytes(12).toString("hex")}`;
const FILE_VALUE = `${CANARY}\nof two lines\n`;
const agentHome = join(platform.home, "local-agent");

const digest = (text: string) => createHash("sha256").update(text).digest("hex");

/** What the step tells of its secrets without telling them. */
const TELL = `
  mkdir "$BERTH_OUT/told" && cd "$BERTH_OUT/told"
  sha256sum < "$BERTH_SECRETS/TOKEN" | cut -c1-64 > file
  printf %s "$API_TOKEN" | sha256sum | cut -c1-64 > variable
  stat -c %a "$BERTH_SECRETS/TOKEN" > mode
  ls -A "$BERTH_SECRETS" > names`;

async function setSecrets(): Promise<void> {
  for (const [name, value] of [
    ["TOKEN", FILE_VALUE],
    ["OTHER", CANARY],
  ]) {
    writeFileSync(join(platform.folder, "value"), value!);
    const set = await platform.berth("secret", "set", name!, "--file", join(platform.folder, "value"));
    assert.equal(set.code, 0, set.stderr);
  }
  writeFileSync(join(platform.folder, "value"), "");
}

/** Files below these folders, and rows of a running database, that hold the canary. */
function hits(...folders: string[]): string {
  const found = spawnSync("grep", ["-rlaF", CANARY, ...folders], { encoding: "utf8" });
  return found.stdout;
}

/** Of the step that waits; undefined while there is none. */
const attemptFolder = () => platform.attemptsWith("tmp/waiting")[0];

function filesOf(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8").trim()]));
}

const EXPECTED = { file: digest(FILE_VALUE), variable: digest(CANARY), mode: "400", names: "TOKEN" };

for (const backend of ["process", "docker"]) {
  test(`on ${backend}, a step has the secrets that it names, and nothing else keeps a value`, async () => {
    const image = backend === "docker" ? await testImage() : "none";
    await setSecrets();
    const name = `secrets-${backend}`;
    platform.write(`${name}.json`, {
      name,
      environment: { image },
      steps: {
        use: {
          secrets: ["TOKEN", { name: "OTHER", env: "API_TOKEN" }],
          run: `${TELL}
            touch "$BERTH_DIR/tmp/waiting"
            while ! test -e "$BERTH_DIR/tmp/go"; do sleep 0.1; done`,
          outputs: ["told"],
          resources: { timeout: "90s" },
        },
        say: {
          needs: ["use"],
          secrets: [{ name: "OTHER", env: "API_TOKEN" }],
          run: 'echo "it is $API_TOKEN."; printf %s "$API_TOKEN" | base64 -w0 >&2; echo not so, >&2; exit 3',
          allow_failure: true,
        },
        none: { needs: ["use"], run: 'test -z "$BERTH_SECRETS$API_TOKEN" && ! test -e /berth/secrets' },
      },
    });
    const running = platform.start(["run", `${name}.json`, "--backend", backend, "--json"]);
    await until(
      "the step has its secrets",
      () => attemptFolder() !== undefined,
      () => running.output.stderr,
    );

    // An agent that dies meanwhile leaves the step what it has.
    process.kill(platform.pidOf("agent"), "SIGKILL");
    const places = [platform.home, platform.project];
    if (backend === "docker") {
      const [container] = platform.containers().filter((id) => inspect(id).includes('"attempt"'));
      assert.doesNotMatch(inspect(container!), new RegExp(CANARY));
      const state = "/var/lib/docker/containers";
      if (existsSync(state)) places.push(join(state, JSON.parse(inspect(container!))[0].Id));
    }
    assert.equal(hits(...places), "");
    writeFileSync(join(attemptFolder()!, "tmp/go"), "");

    const { code, stdout, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    const got = await platform.berth("artifacts", "get", `${name}/use/told`, "-o", `${name}-out`);
    assert.equal(got.code, 0, got.stderr);
    assert.deepEqual(filesOf(join(platform.project, `${name}-out/told`)), EXPECTED);
    const said = await platform.berth("logs", `${name}#1`, "--step", "say");
    assert.match(said.stdout + said.stderr, /it is \*{3,}\..*\*{3,}not so,/s);
    await platform.tidy();
    assert.ok(!existsSync(secretsParent(agentHome)), "nothing is left in memory");
    assert.equal(hits(platform.home, platform.project), "");
    assert.doesNotMatch(stdout + stderr, new RegExp(CANARY));

    // It waits for a file that nobody makes here.
    const command = ["--", "sh", "-e", "-c", TELL];
    const refused = await platform.berth("replay", `${name}#1/use`, ...command);
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /needs the secret TOKEN[\s\S]*--secret TOKEN=@FILE/);
    for (const [file, value] of [
      ["token", FILE_VALUE],
      ["other", CANARY],
    ]) {
      writeFileSync(join(platform.folder, file!), value!);
    }
    const files = ["TOKEN=@../token", "OTHER=@../other"].flatMap((secret) => ["--secret", secret]);
    const replayed = await platform.berth("replay", `${name}#1/use`, ...files, "-o", `${name}-again`, ...command);
    assert.equal(replayed.code, 0, replayed.stderr);
    assert.deepEqual(filesOf(join(platform.project, `${name}-again/told/told`)), EXPECTED);
    assert.equal(hits(platform.home, "/dev/shm"), "");
  });
}

test("a step whose secret is gone by the time it starts fails at once, and says what helps", async () => {
  await setSecrets();
  platform.write("gone.json", {
    name: "gone",
    environment: { image: "none" },
    steps: {
      first: {
        run: 'touch "$BERTH_DIR/tmp/waiting"; while ! test -e "$BERTH_DIR/tmp/go"; do sleep 0.1; done',
        resources: { timeout: "90s" },
      },
      second: { needs: ["first"], secrets: ["TOKEN"], run: "true" },
    },
  });
  const running = platform.start(["run", "gone.json", "--backend", "process", "--json"]);
  await until("the first step runs", () => attemptFolder() !== undefined);
  assert.equal((await platform.berth("secret", "rm", "TOKEN")).code, 0);
  writeFileSync(join(attemptFolder()!, "tmp/go"), "");
  const { code, stderr } = await running.ended;
  assert.equal(code, 1);
  assert.match(stderr, /second failed .*The secret TOKEN is not to be had any more/);
  const { url, token } = platform.endpoint();
  const { run } = JSON.parse((await running.ended).stdout) as { run: { id: string } };
  const answer = await fetch(`${url}/api/v1/runs/${run.id}/steps`, { headers: { authorization: `Bearer ${token}` } });
  const { items } = (await answer.json()) as {
    items: { key: string; attempts: { fault: { code: string; advice: string } }[] }[];
  };
  const { attempts } = items.find(({ key }) => key === "second")!;
  assert.deepEqual(
    attempts.map(({ fault }) => [fault.code, fault.advice]),
    [["secret-missing", "Set it: berth secret set TOKEN"]],
  );

  const refused = await platform.berth("run", "gone.json", "--backend", "process");
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /steps\.second\.secrets\[0\][\s\S]*There is no secret TOKEN/);
  await platform.tidy();
});

function inspect(container: string): string {
  return execFileSync("docker", ["inspect", container], { encoding: "utf8" });
}
