import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { compile } from "../../pipeline/testing/compile-text.ts";
import { loadPolicy, PolicyError } from "./load-policy.ts";
import { refuseStep } from "./refuse-step.ts";
import { readPolicy, type WorkerPolicy } from "./worker-policy.ts";

const BERTH = join(import.meta.dirname, "../../../src/main.ts");

function policyOf(text: string): WorkerPolicy {
  const read = readPolicy(text, "policy.yaml");
  assert.ok(read.ok, JSON.stringify(read));
  return read.policy;
}

function problemsOf(text: string): string[] {
  const read = readPolicy(text, "policy.yaml");
  assert.ok(!read.ok);
  return read.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

/** What the policy says of a pipeline's only step. */
function refusal(policy: string, pipeline: string, backend = "docker") {
  const plan = compile(`name: p\n${pipeline}`);
  const step = plan.steps[0]!;
  const environment = plan.environments[step.environment]!;
  const capabilities = { images: backend === "docker" };
  return refuseStep(policyOf(policy), { step, environment, backend, capabilities });
}

const PLAIN = "environment: { image: python:3.13 }\n";

function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-policy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "policy.yaml"), text);
  return folder;
}

test("a typing mistake anywhere in a policy is told with its place and what was meant, and leaves no policy", () => {
  assert.deepEqual(problemsOf("limits:\n  memroy: 2GiB\n"), [
    '2:3 limits: unknown key "memroy", did you mean "memory"?',
  ]);
  assert.deepEqual(problemsOf("forbid:\n  - netwrok\n"), [
    '2:5 forbid[0]: the text "netwrok" is not allowed here; choose "network" or "build" or "gpus" or "apparmor" or ' +
      '"selinux" or "runtime", did you mean "network"?',
  ]);
  assert.match(problemsOf("mounts: { docker: { from: /var/run/docker.sock, to: /x } }")[0]!, /the host itself runs on/);
  assert.match(problemsOf("mounts: { all: { from: /srv/.., to: /x } }")[0]!, /absolute path/);
  assert.match(problemsOf("mounts: { own: { from: /srv/x, to: /berth/in } }")[0]!, /belongs to Berth/);
  assert.match(problemsOf("forbid: [network]\nforbid: []\n")[0]!, /^2:1 : duplicate key/);
});

test("what is refused is refused with the line of the policy that does so, and what is not mentioned is allowed", () => {
  const policy = "# of forge-1\nimages:\n  allow: ['python:3.*']\nforbid:\n  - gpus\n  - network # of any kind\n";
  const networked = refusal(policy, `${PLAIN}steps: { a: { run: x } }`);
  assert.deepEqual([networked?.code, networked?.class], ["policy-refused", "configuration"]);
  assert.equal(networked?.evidence, "policy.yaml:6: - network # of any kind");
  const offline = "isolation: { network: none }\n";
  assert.equal(refusal(policy, `${PLAIN}${offline}steps: { a: { run: x } }`), null);
  const gpu = refusal(policy, `${PLAIN}${offline}steps: { a: { run: x, resources: { gpu: 1 } } }`);
  assert.equal(gpu?.evidence, "policy.yaml:5: - gpus");
  const other = refusal(policy, `environment: { image: node:24 }\n${offline}steps: { a: { run: x } }`);
  assert.equal(other?.evidence, "policy.yaml:3: allow: ['python:3.*']");
  assert.match(other?.message ?? "", /the image node:24 is not among those allowed/);
});

test("where images are restricted, nothing runs whose image cannot be told: own Dockerfiles, and no image at all", () => {
  const policy = "images: { allow: ['**'], digest: required }\n";
  const step = "steps: { a: { run: x } }";
  assert.match(refusal(policy, `environment: { dockerfile: Dockerfile }\n${step}`)!.message, /own Dockerfile/);
  assert.match(refusal(policy, PLAIN + step, "process")!.message, /the backend process runs it without an image/);
  assert.match(refusal(policy, PLAIN + step)!.message, /not named by its digest/);
  assert.equal(refusal(policy, `environment: { image: 'x@sha256:${"a".repeat(64)}' }\n${step}`), null);
  assert.match(refusal("backends: [docker]", PLAIN + step, "process")!.message, /backend process/);
});

test("more than a limit is refused, and a mount that the policy does not offer", () => {
  const policy =
    "limits: { cpu: 2, memory: 1GiB, time: 1h, disk: 1GiB }\nmounts: { models: { from: /srv/m, to: /m } }\n";
  const step = (keys: string) => refusal(policy, `${PLAIN}steps: { a: { run: x, ${keys} } }`);
  assert.equal(
    step("resources: { cpu: 2, memory: 1GiB, timeout: 1h, disk: 1GiB }, isolation: { mounts: [models] }"),
    null,
  );
  for (const more of ["cpu: 3", "memory: 2GiB", "timeout: 2h", "disk: 2GiB"]) {
    assert.match(step(`resources: { ${more} }`)!.message, /at most/, more);
  }
  assert.match(step("isolation: { mounts: [etc] }")!.message, /the mount etc/);
});

test("where destinations are restricted a step needs a list within them, by protocol, port, network and name", () => {
  const policy = "egress: ['*.example.com:443', '10.1.0.0/16:5432', '10.0.0.2:53/udp']\n";
  const step = (network: string) =>
    refusal(policy, `${PLAIN}isolation: { network: ${network} }\nsteps: { a: { run: x } }`);
  for (const allowed of ["api.example.com:443", "10.1.2.0/24:5432", "10.1.2.3:5432", "10.0.0.2:53/udp"]) {
    assert.equal(step(`{ allow: ['${allowed}'] }`), null, allowed);
  }
  assert.equal(step("none"), null);
  assert.match(step("default")?.message ?? "", /its network reaches everything/);
  const others = [
    "example.com:443",
    "api.example.com:80",
    "10.0.0.0/8:5432",
    "10.2.0.1:5432",
    "10.0.0.2:53",
    "evil-example.com:443",
  ];
  for (const other of others) {
    assert.match(step(`{ allow: ['api.example.com:443', '${other}'] }`)?.message ?? "", /it would connect to/, other);
  }
});

test("an agent looks into its home for a policy; one that is named has to be there", (t) => {
  const home = fileWith(t, "forbid: [gpus]\n");
  assert.deepEqual(loadPolicy(home).described?.summary, ["forbidden: gpus"]);
  assert.equal(loadPolicy(join(home, "other")).described, null);
  assert.throws(() => loadPolicy(home, join(home, "nothing.yaml")), PolicyError);
});

test("a policy file is checked by the command, with exit code 2 where an agent would not start", (t) => {
  const good = fileWith(t, "forbid: [gpus]\n");
  const bad = fileWith(t, "forbbid: [gpus]\n");
  const check = (folder: string) =>
    spawnSync(process.execPath, [BERTH, "agent", "policy", "check", join(folder, "policy.yaml")], { encoding: "utf8" });
  const accepted = check(good);
  assert.equal(accepted.status, 0, accepted.stderr);
  assert.match(accepted.stdout, /^sha256:[0-9a-f]{64}\nforbidden: gpus\n$/);
  const refused = check(bad);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /policy\.yaml:1:1: unknown key "forbbid", did you mean "forbid"/);
});
