import assert from "node:assert/strict";
import { test } from "node:test";
import { type CredentialFile, CredentialProblem, credentialFiles, credentialText } from "./credential-files.ts";
import { generateDockerfile, type Recipe } from "./dockerfile.ts";
import { imageKey } from "./image-key.ts";

const RECIPE: Recipe = {
  kind: "recipe",
  base: "base:1",
  apt: [],
  python: { requirements: null, packages: ["ours"], indexes: ["https://a.example/simple", "https://b.example/simple"] },
  node: {
    lockfile: "yarn.lock",
    packages: ["zod"],
    registry: "https://npm.example:8443/group/",
    scopes: { "@acme": "http://npm.example:8443/acme" },
  },
  credentials: { "npm.example:8443": { secret: "TOKEN" }, "a.example": { user: "ci", secret: "PASSWORD" } },
  source: ".",
  env: {},
};
const VALUES: Record<string, string> = { TOKEN: "tok-1", PASSWORD: "p:a$s!#\n" };
const textOf = (file: CredentialFile, values = VALUES) => credentialText(file, RECIPE, (secret) => values[secret]!);

test("each installer gets the credentials in its own form, also for registries below a host", () => {
  assert.equal(
    textOf("netrc"),
    "machine npm.example login __token__ password tok-1\nmachine a.example login ci password p:a$s!#\n",
  );
  assert.match(
    textOf("aptauth"),
    /^machine npm\.example:8443 login __token__ password tok-1\nmachine a\.example login ci/,
  );
  const basic = Buffer.from("ci:p:a$s!#").toString("base64");
  const places = ["//npm.example:8443", "//npm.example:8443/group", "//npm.example:8443/acme"];
  assert.deepEqual(textOf("npmrc").trim().split("\n"), [
    ...places.map((place) => `${place}/:_authToken=tok-1`),
    `//a.example/:_auth=${basic}`,
  ]);
  const token = { npmAlwaysAuth: true, npmAuthToken: "tok-1" };
  assert.deepEqual(JSON.parse(textOf("yarnrc")).npmRegistries, {
    ...Object.fromEntries(places.map((place) => [place, token])),
    "//a.example": { npmAlwaysAuth: true, npmAuthIdent: "ci:p:a$s!#" },
  });
});

test("a value that an installer would read otherwise, or as another line, is refused without being told", () => {
  const bad = [
    "two words",
    "a\nmachine evil login x password y",
    'quo"te',
    "back\\slash",
    "$\u007bHOME}",
    "",
    "#x",
    "ü",
  ];
  for (const value of bad) {
    for (const secret of ["TOKEN", "PASSWORD"]) {
      assert.throws(
        () => textOf("npmrc", { ...VALUES, [secret]: value }),
        (error: Error) =>
          error instanceof CredentialProblem &&
          error.message.includes(secret) &&
          !error.message.includes(value || "\0"),
        `${secret}: ${JSON.stringify(value)}`,
      );
    }
  }
});

test("only what installs mounts credentials, each RUN those of its own installer", () => {
  assert.deepEqual(credentialFiles({ ...RECIPE, apt: ["git"] }), ["aptauth", "netrc", "npmrc", "yarnrc"]);
  const runs = generateDockerfile({ ...RECIPE, apt: ["git"], conda: { file: "environment.yml" } })
    .split("\n")
    .filter((line) => line.startsWith("RUN "));
  const mounted = runs.map((line) =>
    [...line.matchAll(/--mount=type=secret,id=(\w+),required=true /g)].map(([, id]) => id),
  );
  assert.deepEqual(mounted, [["aptauth"], ["netrc"], ["netrc"], ["npmrc", "yarnrc"], ["npmrc"]]);
  const { credentials: _, ...open } = RECIPE;
  assert.deepEqual(credentialFiles(open), []);
  assert.doesNotMatch(generateDockerfile(open), /--mount|\/run\/secrets/);
  assert.deepEqual(credentialFiles({ ...RECIPE, python: null, node: { lockfile: null, packages: ["zod"] } }), [
    "npmrc",
  ]);
});

test("neither host, user nor secret is in the Dockerfile or counts for the image's key", () => {
  const keyOf = (credentials: Recipe["credentials"]) => {
    const environment = { ...RECIPE, credentials };
    return imageKey({ environment, dockerfile: generateDockerfile(environment), files: [] });
  };
  assert.equal(keyOf({ "else.example": { user: "someone", secret: "OTHER" } }), keyOf(RECIPE.credentials));
  assert.doesNotMatch(generateDockerfile(RECIPE), /TOKEN|PASSWORD|\bci\b/);
});

test("where packages come from is said to every tool, and counts for the image's key", () => {
  const text = generateDockerfile(RECIPE);
  assert.match(
    text,
    /--index-url https:\/\/a\.example\/simple --extra-index-url https:\/\/b\.example\/simple .* ours \|\| \{ grep/,
  );
  assert.match(
    text,
    /registry=https:\/\/npm\.example:8443\/group\/ @acme:registry=http:\/\/npm\.example:8443\/acme >\.npmrc/,
  );
  assert.match(text, /"npmScopes":\{"acme":\{"npmRegistryServer":"http:\/\/npm\.example:8443\/acme"\}\}/);
  assert.match(text, /"unsafeHttpWhitelist":\["npm\.example"\]/);
  assert.match(text, /--registry https:\/\/npm\.example:8443\/group\/ "yarn@\$version"/);
  assert.match(text, /&& rm \.npmrc \.yarnrc\.yml &&/);
});

test("an address that could be another word of a command line is none", () => {
  assert.throws(
    () => generateDockerfile({ ...RECIPE, python: { requirements: null, packages: ["x"], indexes: ["-x"] } }),
    TypeError,
  );
});
