import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, runServer, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";

async function set(server: TestServer, name: string, value: string) {
  return await server.call("operator", { method: "PUT", url: `/variables/${name}`, payload: { value } });
}

test("a variable of the project reaches workers as it was when the run was created, a restart's too", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  assert.equal((await set(server, "REGION", "eu")).statusCode, 200);
  await set(server, "SHARED", "project");
  const { id } = await submit(server, { pipeline: CHAIN.replace("steps:", "env: { SHARED: pipeline }\nsteps:") });
  const waiting = await submit(server);
  await set(server, "REGION", "us");
  await set(server, "LATER", "x");
  const { assignment } = await takeRun(worker);
  assert.deepEqual(assignment.plan.env, { REGION: "eu", SHARED: "pipeline" });

  const shown = (await server.call("viewer", { url: `/runs/${id}/variables?step=make` })).json();
  assert.deepEqual(shown, {
    project: { REGION: "eu", SHARED: "project" },
    steps: [
      {
        step: "make",
        variables: [
          { name: "REGION", value: "eu", from: "project", overrides: [] },
          { name: "SHARED", value: "pipeline", from: "pipeline", overrides: [{ from: "project", value: "project" }] },
        ],
      },
    ],
  });
  const unknown = await server.call("viewer", { url: `/runs/${id}/variables?step=mkae` });
  assert.equal(unknown.json().error.code, "invalid_params", unknown.body);

  await server.call("developer", { method: "POST", url: `/runs/${waiting.id}/cancel`, payload: {} });
  const restarted = await server.call("developer", { method: "POST", url: `/runs/${waiting.id}/restart`, payload: {} });
  assert.equal(restarted.statusCode, 201, restarted.body);
  const again = (await server.call("viewer", { url: `/runs/${restarted.json().id}/variables` })).json();
  assert.deepEqual(again.project, { REGION: "eu", SHARED: "project" });
  const anew = await submit(server);
  const fresh = (await server.call("viewer", { url: `/runs/${anew.id}/variables` })).json();
  assert.deepEqual(fresh.project, { REGION: "us", SHARED: "project", LATER: "x" });
});

test("variables are listed with who set them, and removed; what cannot be one is refused", async (t) => {
  const server = await runServer(t);
  await set(server, "B", "2");
  await set(server, "A", "1");
  const { items } = (await server.call("viewer", { url: "/variables" })).json();
  assert.deepEqual(
    items.map(({ name, value, updatedBy }: Record<string, string>) => [name, value, updatedBy]),
    [
      ["A", "1", "test-operator"],
      ["B", "2", "test-operator"],
    ],
  );
  const remove = () => server.call("operator", { method: "DELETE", url: "/variables/A" });
  assert.equal((await remove()).statusCode, 204);
  assert.equal((await remove()).json().error.code, "not_found");
  for (const [name, value] of [
    ["BERTH_HOME", "x"],
    ["1A", "x"],
    ["A", "${{ params.x }}"],
    ["A", "a\0b"],
    ["A", "x".repeat(32 * 1024 + 1)],
  ] as const) {
    const answer = await set(server, name, value);
    assert.equal(answer.statusCode, 400, `${name}: ${answer.body}`);
  }
  const asDeveloper = { method: "PUT", url: "/variables/A", payload: { value: "1" } } as const;
  assert.equal((await server.call("developer", asDeveloper)).statusCode, 403);
});

test("a project has so many variables and no more, also when many are set at once", async (t) => {
  const server = await runServer(t);
  const answers = await Promise.all(
    Array.from({ length: 9 }, (_, index) => set(server, `V${index}`, "x".repeat(32_000))),
  );
  const codes = answers.map(({ statusCode }) => statusCode).toSorted((left, right) => left - right);
  assert.deepEqual(codes, [200, 200, 200, 200, 200, 200, 200, 200, 413]);
  const refused = answers.find(({ statusCode }) => statusCode === 413)!.json().error;
  assert.equal(refused.code, "quota_exceeded");
  assert.match(refused.advice, /berth env rm/);
  const { items } = (await server.call("viewer", { url: "/variables" })).json();
  assert.equal(items.length, 8);
});
