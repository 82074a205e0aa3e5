import assert from "node:assert/strict";
import { test } from "node:test";
import { runServer, submit } from "../../../test/setup/run-fixture.ts";
import { apply, nightly } from "../../../test/setup/schedule-fixture.ts";
import { testToken } from "../../../test/setup/server.ts";
import { createTrigger } from "../../../test/setup/trigger-fixture.ts";
import { isNeeded } from "./is-needed.ts";

test("a platform is needed as long as it has a live run, an active schedule or an active trigger", async (t) => {
  const server = await runServer(t);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "admin", null);
  const needed = () => isNeeded(() => ({ url, token }));
  const post = async (path: string) => {
    const answer = await server.call("developer", { method: "POST", url: path, payload: {} });
    assert.equal(answer.statusCode, 200, answer.body);
  };
  assert.equal(await isNeeded(() => null), false);
  assert.equal(await needed(), false);
  const { id } = await submit(server);
  assert.equal(await needed(), true);
  await post(`/runs/${id}/cancel`);
  assert.equal(await needed(), false);
  await apply(server, nightly());
  assert.equal(await needed(), true);
  await post("/schedules/chain/nightly/pause");
  assert.equal(await needed(), false);
  await createTrigger(server, "push");
  assert.equal(await needed(), true);
  await post("/triggers/push/pause");
  assert.equal(await needed(), false);
});
