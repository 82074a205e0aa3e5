import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, submit } from "../../../test/setup/run-fixture.ts";
import { apply, nightly } from "../../../test/setup/schedule-fixture.ts";
import { testServer, testToken } from "../../../test/setup/server.ts";
import { allRoutes } from "../../server/http/routes.ts";
import { runCaptured } from "../testing/run-captured.ts";

test("runs are found at the terminal by what they are, who started them and a part of their text", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const run = (...argv: string[]) => runCaptured(["runs", ...argv, "--server", url, "--token", token]);
  await submit(server, { labels: ["gpu", "fast"] });
  await submit(server, { pipeline: CHAIN.replace("name: chain", "name: other") });
  await apply(server, nightly());
  await server.call("developer", { method: "POST", url: "/schedules/chain/nightly/run" });
  const listed = async (...argv: string[]) =>
    JSON.parse((await run(...argv, "--json")).stdout).map(
      ({ pipeline, number }: { pipeline: string; number: number }) => `${pipeline}#${number}`,
    );
  assert.deepEqual(await listed(), ["chain#2", "other#1", "chain#1"]);
  assert.deepEqual(await listed("--label", "gpu", "--label", "fast"), ["chain#1"]);
  assert.deepEqual(await listed("--text", "OTHER#"), ["other#1"]);
  assert.deepEqual(await listed("--since", "1h", "--started-by", "person"), ["other#1", "chain#1"]);
  assert.deepEqual(await listed("--until", "1h"), []);
  assert.deepEqual(await listed("--state", "queued,running", "--limit", "1"), ["chain#2"]);
  assert.match((await run("--pipeline", "chain")).stdout, /chain#2 +queued .* schedule chain\/nightly/);
  const refused = await run("--started-by", "nobody");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /startedBy.*must be person, schedule or trigger/s);
});
