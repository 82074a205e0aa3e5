import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, ENVIRONMENT, problemsInSteps } from "./testing/compile-text.ts";

test("a step's isolation is the pipeline's where it says nothing of its own", () => {
  const text = `name: p
${ENVIRONMENT}
isolation: { network: none, read_only_root: true, runtime: runsc }
steps:
  same: { run: x }
  other: { run: x, isolation: { network: default, runtime: runc, read_only_root: false, mounts: [models] } }
`;
  const [same, other] = compile(text).steps;
  assert.deepEqual([same!.network, same!.isolation], ["none", { readOnlyRoot: true, runtime: "runsc" }]);
  assert.deepEqual([other!.network, other!.isolation], ["run", { runtime: "runc", mounts: ["models"] }]);
});

test("what no step is ever granted is refused in so many words", () => {
  const refused = (isolation: string) => problemsInSteps(`{ a: { run: x, isolation: { ${isolation} } } }`).join("\n");
  assert.match(refused("privileged: true"), /isolation.privileged: "true": no step runs privileged/);
  assert.match(refused("network: host"), /isolation.network: "host": no step is given its worker's own network/);
  assert.match(refused("pid: host"), /isolation.pid: "host": a step always has namespaces of its own/);
  assert.match(refused("ipc: host"), /isolation.ipc: "host": a step always has namespaces of its own/);
  assert.match(refused("capabilities: SYS_ADMIN"), /isolation.capabilities: .*no step is given capabilities/);
  assert.match(refused("mounts: [/etc]"), /isolation.mounts\[0\]: "\/etc": a name starts with a letter/);
  assert.match(refused("apparmor: 'x y'"), /isolation.apparmor/);
  assert.match(refused("privilegd: true"), /unknown key "privilegd", did you mean "privileged"/);
});

test("a runtime that may have a network of its own needs a step without any", () => {
  assert.match(
    problemsInSteps("{ a: { run: x, isolation: { runtime: runsc } } }").join("\n"),
    /a.isolation.runtime: the runtime runsc may have a network of its own/,
  );
});

test("an allow-list names hosts with their ports, and nothing that cannot be told from the outside", () => {
  const step = (allow: string) => `{ a: { run: x, isolation: { network: { allow: [${allow}] } } } }`;
  const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: ${step("'pypi.org:443', '10.0.0.2:53/udp'")}`);
  assert.deepEqual(plan.steps[0]!.network, { allow: ["pypi.org:443", "10.0.0.2:53/udp"] });
  for (const wrong of ["pypi.org", "'*.org:443'", "'[::1]:80'", "'10.0.0.0/33:1'", "'x:70000'"]) {
    assert.match(problemsInSteps(step(wrong)).join("\n"), /network.allow\[0\]: .*must be "host:port"/, wrong);
  }
  assert.match(problemsInSteps(step("")).join("\n"), /network.allow: an empty list is too short/);
  assert.match(
    problemsInSteps("{ a: { run: x, isolation: { network: hots } } }").join("\n"),
    /choose none, default or/,
  );
});
