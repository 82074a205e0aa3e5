import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AttemptFault } from "./attempt-fault.ts";
import { hasSecrets, makeSecretFolder, removeSecretFolder, secretsParent, writeSecrets } from "./secret-folder.ts";

const KEY = { name: "KEY", variable: null };
const TOKEN = { name: "TOKEN", variable: "API_TOKEN" };

function secretsOf(t: TestContext, variables = true) {
  const parent = secretsParent(`${import.meta.filename} ${process.pid} ${t.name}`);
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  return { parent, secrets: { folder: join(parent, "attempt"), variables } };
}

test("values are files of one user alone, in memory, and gone with the folder", (t) => {
  const { parent, secrets } = secretsOf(t);
  makeSecretFolder(secrets);
  assert.ok(!hasSecrets(secrets));
  const write = () =>
    writeSecrets(
      secrets,
      [KEY, TOKEN],
      new Map([
        ["KEY", Buffer.of(0, 255)],
        ["TOKEN", Buffer.from("a=b\n")],
      ]),
    );
  write();
  // As after a crash in the middle.
  makeSecretFolder(secrets);
  write();
  assert.ok(hasSecrets(secrets));
  const key = join(secrets.folder, "files/KEY");
  assert.deepEqual(readFileSync(key), Buffer.of(0, 255));
  assert.equal(readFileSync(join(secrets.folder, "env/variables"), "utf8"), "API_TOKEN=a=b\n\0");
  assert.deepEqual(
    [parent, secrets.folder, key].map((path) => statSync(path).mode & 0o777),
    [0o700, 0o700, 0o400],
  );
  removeSecretFolder(secrets.folder);
  assert.ok(!existsSync(parent));
  removeSecretFolder(secrets.folder);
});

test("what others still have stays when one attempt's secrets go", (t) => {
  const { parent, secrets } = secretsOf(t);
  makeSecretFolder(secrets);
  makeSecretFolder({ ...secrets, folder: join(parent, "another") });
  removeSecretFolder(secrets.folder);
  assert.ok(existsSync(join(parent, "another/files")));
});

test("secrets are written to no disk, and to no folder that another user may look into", (t) => {
  const disk = mkdtempSync(join(tmpdir(), "berth-secrets-"));
  t.after(() => rmSync(disk, { recursive: true }));
  assert.throws(
    () => makeSecretFolder({ folder: join(disk, "attempt"), variables: false }),
    (error) => error instanceof AttemptFault && error.fault.code === "stage-io" && /on a disk/.test(error.message),
  );
  const { parent, secrets } = secretsOf(t);
  mkdirSync(parent);
  chmodSync(parent, 0o755);
  assert.throws(() => makeSecretFolder(secrets), /not a folder of the agent's user alone/);
  assert.throws(() => makeSecretFolder({ folder: "/dev/shm/none/there/attempt", variables: false }), /ENOENT/);
});

test("a value that no variable can hold is refused by its name, without being shown", (t) => {
  const { secrets } = secretsOf(t);
  makeSecretFolder(secrets);
  for (const value of [Buffer.from("hidden\0value"), Buffer.from([0x68, 0xff])]) {
    assert.throws(
      () => writeSecrets(secrets, [TOKEN], new Map([["TOKEN", value]])),
      (error) =>
        error instanceof AttemptFault &&
        error.fault.code === "spec-invalid" &&
        /The secret TOKEN/.test(error.message) &&
        !/hidden/.test(JSON.stringify(error.fault)),
    );
  }
  assert.ok(!hasSecrets(secrets));
});
