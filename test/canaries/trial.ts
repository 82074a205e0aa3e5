import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ScenarioPlatform, until } from "../scenarios/platform.ts";
import { testImage } from "../setup/docker.ts";
import { databasePlace, enginePlaces, folderPlace, imagesPlace, type Place } from "./places.ts";
import { writtenForms } from "./written-forms.ts";

/** One place that was looked at. */
export interface Looked {
  readonly place: string;
  readonly bytes: number;
  /** Forms of the secrets that were found, which should be none. */
  readonly secrets: readonly string[];
  /** Whether the value that is no secret was found, which shows that the look sees something. */
  readonly control: boolean;
}

export interface CanaryResult {
  readonly looked: readonly Looked[];
  /** Places where the value that is no secret has to be, and was not. */
  readonly blind: readonly string[];
}

/** Says a value in every way that a step has. The first line of each script says where it has it from. */
const STEPS: Readonly<Record<string, string>> = {
  says: `
    E=$(printf %s "$V" | sed 's/"/\\\\"/g')
    echo "as it is: $V"; echo "on the other stream: $V" >&2; echo "escaped: $E"
    for lead in "" x xy; do printf %s "$lead$V" | base64; done
    printf %s "$V" | od -An -tx1 | tr -d ' \\n'; echo
    printf %s "\${V%????}"; sleep 0.3; printf '%s\\n' "\${V#"\${V%????}"}"
    env
    echo "{\\"type\\":\\"progress\\",\\"done\\":1,\\"total\\":2,\\"message\\":\\"using $E\\"}" >> "$BERTH_MESSAGES"
    echo "{\\"type\\":\\"output\\",\\"name\\":\\"out\\",\\"tags\\":{\\"note\\":\\"$E\\"}}" >> "$BERTH_MESSAGES"
    echo done > "$BERTH_OUT/out"`,
  business: `
    E=$(printf %s "$V" | sed 's/"/\\\\"/g')
    echo "{\\"type\\":\\"business\\",\\"message\\":\\"no row for $E\\"}" > "$BERTH_DIR/error.json"; exit 65`,
  unknown: `"$V"`,
  killed: `echo "before the end: $V"; kill -9 $$`,
  waits: `
    echo "before: $V"; touch "$BERTH_DIR/tmp/waiting"
    while ! test -e "$BERTH_DIR/tmp/go"; do sleep 0.1; done
    echo "after: $V"`,
};

/**
 * Steps say their secrets in every way that they have, on a real platform whose agent is killed meanwhile; then every
 * place is looked through for them in every form. Beside each, a step says a value that is no secret.
 */
export async function canaryTrial(backends: readonly string[], say: (line: string) => void): Promise<CanaryResult> {
  const image = backends.includes("docker") ? await testImage() : "none";
  await using platform = new ScenarioPlatform();
  const values = {
    file: `kn/${randomBytes(12).toString("hex")}+"&=%`,
    variable: `kv/${randomBytes(12).toString("hex")}+"&=%`,
    control: `kc/${randomBytes(12).toString("hex")}+"&=%`,
  };
  const said: string[] = [];
  const command = async (...args: string[]) => {
    const { code, stdout, stderr } = await platform.berth(...args);
    said.push(stdout, stderr);
    return { code, stdout, stderr };
  };
  for (const [name, value] of [
    ["FILE", values.file],
    ["VARIABLE", values.variable],
  ] as const) {
    const file = join(platform.folder, "value");
    writeFileSync(file, value);
    assert.equal((await command("secret", "set", name, "--file", file)).code, 0, said.at(-1));
    writeFileSync(file, "");
  }
  const places: Place[] = [];
  for (const backend of backends) {
    say(`steps on ${backend} say what they know`);
    platform.write(`${backend}.json`, pipelineOf(backend, backend === "docker" ? image : "none", values.control));
    const running = platform.start(["run", `${backend}.json`, "--backend", backend]);
    const wait = () =>
      until(
        "every step that waits is at it",
        () => platform.attemptsWith("tmp/waiting").length === 3,
        () => running.output.stderr,
      );
    await wait();
    process.kill(platform.pidOf("agent"), "SIGKILL");
    // What a step prints lies in its own folder as it is, until it was sent and the folder removed.
    const home = join(platform.home, "local-agent");
    places.push(folderPlace(`home of the agent but for what steps write, on ${backend}`, home, "attempts"));
    if (backend === "docker") places.push(...enginePlaces(platform.containers()), imagesPlace([image]));
    for (const folder of platform.attemptsWith("tmp/waiting")) writeFileSync(join(folder, "tmp/go"), "");
    const { stdout, stderr } = await running.ended;
    said.push(stdout, stderr);
    for (const args of [
      ["logs", `${backend}#1`],
      ["run", "show", `${backend}#1`, "--json"],
      ["usage", `${backend}#1`],
    ]) {
      await command(...args);
    }
  }
  for (const args of [
    ["secret", "ls"],
    ["secret", "show", "FILE", "--json"],
    ["audit", "--json"],
    ["artifacts", "ls", "--json"],
  ]) {
    await command(...args);
  }
  await platform.tidy();
  places.push(
    { name: "what commands print", bytes: Buffer.from(said.join("\n")) },
    { name: "answers of the API", bytes: await answers(platform, backends) },
    await databasePlace(platform.home),
    folderPlace("home of the platform, with the files of its database", platform.home),
    folderPlace("memory of the host, /dev/shm", "/dev/shm"),
  );
  const forms = [...writtenForms(values.file), ...writtenForms(values.variable)];
  const looked = places.map(({ name, bytes }) => ({
    place: name,
    bytes: bytes.length,
    secrets: [...new Set(forms.filter(([, text]) => bytes.includes(text)).map(([form]) => form))],
    control: [...writtenForms(values.control).values()].some((text) => bytes.includes(text)),
  }));
  return {
    looked,
    blind: looked.filter(({ place, control }) => !control && HOLDS_CONTROL.test(place)).map(({ place }) => place),
  };
}

/** A value of the pipeline file is kept in all of these. */
const HOLDS_CONTROL = /^(home|engine: inspect and diff|what commands|answers|database)/;

function pipelineOf(name: string, image: string, control: string): object {
  const resources = { timeout: "90s" };
  const shared = { allow_failure: true, retry: 0, resources };
  const steps = Object.entries(STEPS).flatMap(([step, script]) => {
    const outputs = step === "says" ? { outputs: ["out"] } : {};
    const secrets = ["FILE", { name: "VARIABLE", env: "TOKEN" }];
    return [
      [`${step}-file`, { ...shared, ...outputs, secrets, run: `V=$(cat "$BERTH_SECRETS/FILE")\n${script}` }],
      [`${step}-variable`, { ...shared, ...outputs, secrets, run: `V=$TOKEN\n${script}` }],
      [`${step}-control`, { ...shared, ...outputs, env: { CONTROL: control }, run: `V=$CONTROL\n${script}` }],
    ];
  });
  return { name, environment: { image }, steps: Object.fromEntries(steps) };
}

async function answers(platform: ScenarioPlatform, backends: readonly string[]): Promise<Buffer> {
  const { url, token } = platform.endpoint();
  const get = async (path: string): Promise<string> => {
    const answer = await fetch(`${url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return text;
  };
  const parts = ["", "/steps?limit=500", "/logs", "/metrics", "/metrics/summary", "/usage", "/variables"];
  const runs = backends.flatMap((backend) => parts.map((part) => `/runs/${backend}%231${part}`));
  const texts: string[] = [];
  for (const path of [...runs, "/audit", "/artifacts", "/secrets", "/workers"]) texts.push(await get(path));
  return Buffer.from(texts.join("\n"));
}
