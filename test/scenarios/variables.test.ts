import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

test("a step is given the project's variables, a replay those of its run, and both say where each comes from", async () => {
  const file = platform.write("vars.yaml", {
    name: "vars",
    environment: { image: "none" },
    worker: { backend: "process" },
    env: { LEVEL: "pipeline" },
    steps: { say: { run: 'echo "in $REGION at $LEVEL with $ONLY"', env: { ONLY: "step" } } },
  });
  const berth = async (...argv: string[]) => {
    const done = await platform.berth(...argv);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout + done.stderr;
  };
  assert.match(await berth("env", "set", "REGION=eu=1", "LEVEL=project"), /REGION is set/);
  assert.match(await berth("run", file), /in eu=1 at pipeline with step/);
  await berth("env", "set", "REGION=us");
  assert.match(await berth("env", "ls"), /^REGION +us /m);
  const shown = await berth("env", "show", "vars#1", "say");
  assert.match(shown, /^say +LEVEL +pipeline +pipeline +project: project$/m);
  assert.match(shown, /^say +REGION +eu=1 +project +-$/m);
  assert.match(await berth("env", "show", "--pipeline", file, "--step", "say"), /^say +REGION +us +project +-$/m);
  assert.match(await berth("replay", "vars#1/say"), /in eu=1 at pipeline with step/);
  await berth("env", "rm", "REGION");
  assert.match(await berth("run", file), /in {2}at pipeline with step/);

  for (const [argv, words] of [
    [["env", "set", "REGION"], /sets nothing.*\n.*NAME=value/],
    [["env", "set", "BERTH_X=1"], /are reserved/],
    [["env", "rm", "REGION"], /There is no variable REGION/],
    [["env", "show"], /Name a run, or a pipeline file/],
    [["env", "show", "--pipeline", file, "--step", "sya"], /has no step "sya", did you mean "say"/],
  ] as const) {
    const refused = await platform.berth(...argv);
    assert.equal(refused.code, 2, argv.join(" "));
    assert.match(refused.stderr, words);
  }
});
