import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testProvider } from "../../../test/setup/oidc-provider.ts";
import { testServer } from "../../../test/setup/server.ts";
import { allRoutes } from "../../server/http/routes.ts";
import { OidcLogin } from "../../server/login/oidc-login.ts";
import { listenForAnswer } from "../login/listen-for-answer.ts";
import { runCaptured } from "../testing/run-captured.ts";

const BROWSER = join(import.meta.dirname, "../../../test/setup/oidc-browser.ts");

test("somebody logs in with a browser, works with the token that is kept for them alone, and logs out", async (t) => {
  const provider = await testProvider(t, { alice: ["wine"] });
  const login = new OidcLogin({
    ...{ issuer: provider.issuer, clientId: "berth", clientSecret: null, scopes: "openid profile" },
    ...{ groupsClaim: "groups", lifetimeSeconds: 3600, roles: [{ project: "default", role: "viewer", group: "wine" }] },
  });
  const server = await testServer(t, (services) => allRoutes(services, "test"), { login });
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const home = mkdtempSync(join(tmpdir(), "berth-login-"));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const browser = join(home, "browser");
  writeFileSync(browser, `#!/bin/sh\nexec ${process.execPath} ${BROWSER} alice "$1"\n`, { mode: 0o755 });
  const run = (...argv: string[]) => runCaptured(argv, { BERTH_HOME: home, BROWSER: browser });

  const nowhere = await run("login");
  assert.equal(nowhere.exitCode, 2);
  assert.match(nowhere.stderr, /no server to log in to/);
  const loggedIn = await run("login", "--server", url);
  assert.equal(loggedIn.exitCode, 0, loggedIn.stderr);
  assert.match(loggedIn.stdout, /^Logged in as alice@example\.com, viewer of default, until /);
  assert.match(loggedIn.stderr, /Log in with your browser at\n {2}http:\/\/127\.0\.0\.1:\d+\/auth\?/);
  const config = join(home, "config.json");
  const { token } = JSON.parse(readFileSync(config, "utf8"));
  assert.equal(statSync(config).mode & 0o777, 0o600);
  for (const { stdout, stderr } of [loggedIn]) assert.ok(!(stdout + stderr).includes(token));
  const runs = await run("runs");
  assert.equal(runs.exitCode, 0, runs.stderr);
  assert.equal((await run("login")).exitCode, 0, "again, with the server that is known");
  const other = await run("login", "--server", "http://127.0.0.1:1");
  assert.equal(other.exitCode, 2);
  assert.match(other.stderr, /is for another server/);

  const { token: newest } = JSON.parse(readFileSync(config, "utf8"));
  assert.equal((await run("logout")).exitCode, 0);
  assert.throws(() => readFileSync(config), { code: "ENOENT" });
  const headers = { authorization: `Bearer ${newest}` };
  assert.equal((await server.call(null, { url: "/runs", headers })).statusCode, 401);
});

test("only what carries the state of the login ends the wait for the browser", async () => {
  await using listener = await listenForAnswer("mine");
  const { redirectUri } = listener;
  for (const address of [`${redirectUri}?state=another&code=x`, redirectUri, `${redirectUri}/more?state=mine`]) {
    assert.equal((await fetch(address)).status, 404);
  }
  assert.equal((await fetch(`${redirectUri}?state=mine&code=x`, { method: "POST" })).status, 404);
  assert.equal((await fetch(`${redirectUri}?state=mine&code=y`)).status, 200);
  assert.equal(await listener.answer(), "?state=mine&code=y");
});

test("nobody is waited for without an end", async () => {
  await using listener = await listenForAnswer("mine", 20);
  await assert.rejects(listener.answer(), /Nobody logged in/);
});
