import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ensureDocker, type TestDocker, testImage } from "../setup/docker.ts";
import { ScenarioPlatform } from "./platform.ts";

let docker: TestDocker;
before(async () => {
  docker = await ensureDocker();
});
after(async () => {
  await docker[Symbol.asyncDispose]();
});

/** Plain sh, as docs/steps.md shows it. */
const TRAIN = `
say() { echo "$1" >> "$BERTH_MESSAGES"; }
log() { printf '\\036%s\\n' "$1" >&2; }
log '{"level":"info","message":"begins","fields":{"rows":3}}'
for i in 1 2 3; do
  say '{"type":"metric","name":"loss","value":0.'$i',"step":'$i'}'
  say '{"type":"progress","done":'$i',"total":3,"message":"epoch '$i'"}'
done
echo plain
log '{"level":"warning","message":"almost done","fields":{"note":"two words"}}'
log '{"level":"warning","message":'
echo weights > "$BERTH_OUT/m.bin"
say '{"type":"output","name":"model","format":"onnx","tags":{"stage":"candidate"},"schema":{"inputs":["x"]}}'
say 'not JSON'
`;

for (const backend of ["process", "docker"] as const) {
  test(`${backend}: what a step in plain sh says is shown while it runs, kept, and found again`, async () => {
    await using platform = new ScenarioPlatform();
    const file = platform.write("saying.yaml", {
      name: "saying",
      environment: { image: backend === "docker" ? await testImage() : "none" },
      steps: {
        train: {
          run: TRAIN,
          outputs: {
            model: { path: "m.bin", contentType: "application/x-foo", tags: { team: "ml", stage: "new" } },
          },
        },
      },
    });
    const berth = async (...args: string[]) => {
      const ended = await platform.berth(...args);
      assert.equal(ended.code, 0, `${args.join(" ")}\n${ended.stdout}\n${ended.stderr}`);
      return ended.stdout;
    };
    const output = await berth("run", file, "--backend", backend);
    assert.match(output, /^ +train loss +0\.3 +of 3 values from 0\.1 to 0\.3$/m);
    assert.match(output, /^train \| INFO begins rows=3$/m);

    const shown = JSON.parse(await berth("run", "show", "saying#1", "--json"));
    const { name, value, step, count } = shown.metrics[0];
    assert.deepEqual({ name, value, step, count }, { name: "loss", value: 0.3, step: 3, count: 3 });
    const [attempt] = shown.steps[0].attempts;
    assert.equal(`${attempt.progress.done}/${attempt.progress.total} ${attempt.progress.message}`, "3/3 epoch 3");
    assert.deepEqual(attempt.warnings, ["Line 8 of the step's messages: it is not JSON. It was ignored."]);

    const [model] = JSON.parse(await berth("artifacts", "ls", "--tag", "team=ml", "--tag", "stage", "--json"));
    assert.deepEqual(
      [model.contentType, model.format, model.tags],
      ["application/x-foo", "onnx", { stage: "candidate", team: "ml" }],
    );
    await berth("artifacts", "tag", "saying/train/model/1", "stage=production", "owner=ann");
    await berth("artifacts", "untag", "saying/train/model", "team");
    assert.equal((await berth("artifacts", "ls", "--tag", "team")).trim(), "");
    assert.match(await berth("artifacts", "ls", "--tag", "owner=ann"), /owner=ann stage=production/);
    assert.equal((await platform.berth("artifacts", "tag", "saying/train/model", "a b=c")).code, 2);

    const lines = (await berth("logs", "saying#1", "--step", "train")).trimEnd().split("\n").toSorted();
    // A backend without images says so in the log of the build.
    assert.deepEqual(
      lines.filter((line) => !line.startsWith("This backend")),
      ["INFO begins rows=3", 'WARN almost done note="two words"', "plain", '␞{"level":"warning","message":'],
    );
    assert.equal(
      await berth("logs", "saying#1", "--level", "warn", "--step", "train"),
      'WARN almost done note="two words"\n',
    );
    const records = (await berth("logs", "saying#1", "--json")).trimEnd().split("\n");
    const begins = records.map((line) => JSON.parse(line)).find(({ message }) => message === "begins");
    assert.deepEqual([begins.level, begins.fields, begins.stream], ["info", { rows: 3 }, "stderr"]);
    const raw = await berth("logs", "saying#1", "--raw");
    assert.ok(raw.includes('\u001e{"level":"info","message":"begins"'), raw);
  });
}
