import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { registryCredentials } from "./registry-auth.ts";

let folder: string;
const path = process.env.PATH;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-docker-config-"));
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(folder, { recursive: true });
});

async function auth(registry: string): Promise<unknown> {
  return registryCredentials(registry, { DOCKER_CONFIG: folder });
}

function configure(config: unknown): void {
  writeFileSync(join(folder, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
}

test("without a configuration, or for another registry, there are no credentials", async () => {
  assert.equal(await auth("docker.io"), null);
  configure({ auths: { "ghcr.io": { auth: Buffer.from("me:secret").toString("base64") } } });
  assert.equal(await auth("quay.io"), null);
});

test("user name and password are read, colons in the password included", async () => {
  configure({ auths: { "ghcr.io": { auth: Buffer.from("me:se:cret").toString("base64") } } });
  assert.deepEqual(await auth("ghcr.io"), { username: "me", password: "se:cret" });
});

test("Docker Hub's credentials are found under its oldest address", async () => {
  configure({ auths: { "https://index.docker.io/v1/": { identitytoken: "token" } } });
  assert.deepEqual(await auth("docker.io"), { identitytoken: "token" });
});

test("a credential helper is asked for the registry", async () => {
  const helper = join(folder, "docker-credential-berthtest");
  writeFileSync(helper, `#!/bin/sh\nread address\nprintf '{"Username":"u-%s","Secret":"s"}' "$address"\n`);
  chmodSync(helper, 0o755);
  process.env.PATH = `${folder}:${path}`;
  configure({ credHelpers: { "ghcr.io": "berthtest" } });
  assert.deepEqual(await auth("ghcr.io"), { username: "u-ghcr.io", password: "s" });
});

test("a helper that has nothing means no credentials; one that is missing is an error with its name", async () => {
  const helper = join(folder, "docker-credential-berthtest");
  writeFileSync(helper, "#!/bin/sh\necho credentials not found in native keychain\nexit 1\n");
  chmodSync(helper, 0o755);
  process.env.PATH = `${folder}:${path}`;
  configure({ credsStore: "berthtest" });
  assert.equal(await auth("ghcr.io"), null);
  configure({ credsStore: "nowhere" });
  await assert.rejects(auth("ghcr.io"), /docker-credential-nowhere/);
});

test("a broken configuration is an error with its path", async () => {
  configure("{");
  await assert.rejects(auth("ghcr.io"), /config\.json/);
});
