import assert from "node:assert/strict";
import { test } from "node:test";
import { roleOf } from "./login.ts";
import { readLoginConfig } from "./login-config.ts";

const FEW = { BERTH_OIDC_ISSUER: "https://login.example.com", BERTH_OIDC_CLIENT_ID: "berth" };

test("logging in is configured by issuer and client, and what cannot be meant is refused by name", () => {
  assert.equal(readLoginConfig({ BERTH_OIDC_ISSUER: "" }), null);
  const config = readLoginConfig({
    ...FEW,
    BERTH_OIDC_ROLES: "wine:operator=wine-team *:viewer=*",
    BERTH_LOGIN_HOURS: "2",
  });
  assert.deepEqual(config, {
    ...{ issuer: "https://login.example.com", clientId: "berth", clientSecret: null, groupsClaim: "groups" },
    ...{ scopes: "openid profile email", lifetimeSeconds: 7200 },
    roles: [
      { project: "wine", role: "operator", group: "wine-team" },
      { project: "*", role: "viewer", group: "*" },
    ],
  });
  assert.equal(
    readLoginConfig({ ...FEW, BERTH_OIDC_ISSUER: "http://127.0.0.1:4000" })?.issuer,
    "http://127.0.0.1:4000",
  );
  const bad: Record<string, string>[] = [
    { BERTH_OIDC_CLIENT_ID: "" },
    { BERTH_OIDC_ISSUER: "" },
    { BERTH_OIDC_ISSUER: "http://login.example.com" },
    { BERTH_OIDC_ROLES: "wine:owner=team" },
    { BERTH_OIDC_ROLES: "viewer=team" },
    { BERTH_OIDC_ROLES: "../x:viewer=team" },
    { BERTH_LOGIN_HOURS: "0" },
    { BERTH_LOGIN_HOURS: "1000" },
    { BERTH_OIDC_CLIENT_SECRET_FILE: "/nowhere/secret" },
  ];
  for (const env of bad) {
    const [name] = Object.keys(env) as [string];
    assert.throws(() => readLoginConfig({ ...FEW, ...env }), { message: new RegExp(name) });
  }
});

test("of several roles in a project the highest holds, and a group of one project gives none in another", () => {
  const roles = [
    { project: "wine", role: "viewer", group: "*" },
    { project: "wine", role: "admin", group: "wine-leads" },
    { project: "*", role: "developer", group: "everywhere" },
  ] as const;
  const person = (...groups: string[]) => ({ subject: "1", name: "x", groups });
  assert.equal(roleOf(roles, person(), "wine"), "viewer");
  assert.equal(roleOf(roles, person("wine-leads", "everywhere"), "wine"), "admin");
  assert.equal(roleOf(roles, person("wine-leads"), "beer"), null);
  assert.equal(roleOf(roles, person("everywhere"), "beer"), "developer");
});
