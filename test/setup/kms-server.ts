import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { freePort } from "./free-port.ts";
import { ensureGoProgram } from "./go-program.ts";

/** A server of others that speaks the API of AWS KMS, in Go. */
const LOCAL_KMS = {
  name: "local-kms",
  module: "github.com/nsmithuk/local-kms",
  version: "v0.0.0-20260228092603-2a5e92d09ab6",
};
const REGION = "eu-central-1";
const START_TIMEOUT_MS = 30_000;

export function ensureKmsProgram(): Promise<string> {
  return ensureGoProgram(LOCAL_KMS);
}

/** A key management service on the loopback address. */
export interface KmsServer extends AsyncDisposable {
  /** What a program needs in its environment to use it in place of AWS. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes a symmetric key and returns its ARN. */
  makeKey(): Promise<string>;
  setEnabled(arn: string, enabled: boolean): Promise<void>;
  /** It is gone, as by a crash, and comes back with the keys that it had. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

export async function startKmsServer(): Promise<KmsServer> {
  const program = await ensureKmsProgram();
  const folder = await mkdtemp(join(tmpdir(), "berth-test-kms-"));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: "berth", secretAccessKey: "not-a-secret" };
  const client = new KMSClient({ endpoint, region: REGION, credentials, maxAttempts: 1 });
  const start = () =>
    // It ends with this process, even when that is killed.
    spawn("setpriv", ["--pdeathsig", "KILL", program], {
      env: {
        ...process.env,
        PORT: String(port),
        KMS_DATA_PATH: folder,
        KMS_SEED_PATH: join(folder, "none"),
        KMS_REGION: REGION,
      },
      stdio: "ignore",
    });
  let child = start();
  const server: KmsServer = {
    env: {
      AWS_ENDPOINT_URL_KMS: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    makeKey: async () => (await client.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!,
    setEnabled: async (KeyId, enabled) => {
      if (enabled) await client.send(new EnableKeyCommand({ KeyId }));
      else await client.send(new DisableKeyCommand({ KeyId }));
    },
    goAway: async () => {
      const closed = once(child, "close");
      child.kill("SIGKILL");
      await closed;
    },
    comeBack: async () => {
      child = start();
      await answers(endpoint);
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      if (child.exitCode === null && child.signalCode === null) await server.goAway();
      await rm(folder, { recursive: true });
    },
  };
  try {
    await answers(endpoint);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

async function answers(endpoint: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const answered = await fetch(endpoint).then(
      (response) => response.body?.cancel().then(() => true) ?? true,
      () => false,
    );
    if (answered) return;
    if (performance.now() > deadline) throw new Error(`The key management service did not answer at ${endpoint}.`);
    await sleep(50);
  }
}
