import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, problemsOf } from "./testing/compile-text.ts";

const file = (keys: string) => `name: p\nenvironment: { base: "python:3.12-slim", ${keys} }\nsteps: { a: { run: x } }`;
const INDEX = 'python: { packages: [numpy], index: "https://a.example/simple" }';

test("credentials are a token by its secret's name alone, or a user with a secret", () => {
  const plan = compile(
    file(
      `${INDEX}, node: { packages: [zod], registry: "https://b.example", scopes: { "@acme": "https://c.example/npm" } },
       credentials: { a.example: TOKEN, "b.example:8443": { user: ci, secret: PASSWORD } }`,
    ),
  );
  const environment = plan.environments.default!;
  assert.ok(environment.kind === "recipe");
  assert.deepEqual(environment.credentials, {
    "a.example": { secret: "TOKEN" },
    "b.example:8443": { user: "ci", secret: "PASSWORD" },
  });
  assert.deepEqual(environment.python?.indexes, ["https://a.example/simple"]);
  assert.deepEqual(
    [environment.node?.registry, environment.node?.scopes],
    ["https://b.example", { "@acme": "https://c.example/npm" }],
  );
});

test("a plan without credentials and addresses is what it always was", () => {
  const environment = compile(file("python: { packages: [numpy] }, node: { packages: [zod] }")).environments.default!;
  assert.ok(environment.kind === "recipe");
  assert.deepEqual(environment.python, { requirements: null, packages: ["numpy"] });
  assert.deepEqual(environment.node, { lockfile: null, packages: ["zod"] });
  assert.ok(!("credentials" in environment));
});

test("what could not work, or would put a password into the image, is refused where it stands", () => {
  const problems = (keys: string) => problemsOf(file(keys)).join("\n");
  assert.match(
    problems('python: { packages: [numpy], index: "https://ci:hidden@a.example/simple" }'),
    /python\.index: .*who asks is said in "credentials"/,
  );
  assert.match(problems(`${INDEX}, credentials: { "https://a.example": T }`), /is no host, such as/);
  assert.match(problems(`${INDEX}, credentials: { a.example: my-token }`), /a secret's name/);
  assert.match(problems(`${INDEX}, credentials: { a.example: { user: "a b", secret: T } }`), /is no name of a user/);
  assert.match(problems(`${INDEX}, credentials: { a.example: { user: ci, password: T } }`), /password/);
  assert.match(
    problems(`${INDEX}, credentials: { "a.example:1": T, "a.example:2": T }`),
    /pip cannot tell it from "a\.example:1"/,
  );
  assert.match(problems("credentials: { a.example: T }"), /nothing is installed here/);
  assert.match(
    problems('node: { packages: [zod], scopes: { acme: "https://a.example" } }'),
    /is no scope, such as "@acme"/,
  );
  assert.match(
    problemsOf("name: p\nenvironment: { image: x, credentials: { a.example: T } }\nsteps: { a: { run: x } }").join(),
    /"credentials" goes with base, not with image/,
  );
});
