import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { CANCEL } from "./contract/cancel.ts";
import type { ContractCase, ContractGroup, Need } from "./contract/case.ts";
import { CRASH } from "./contract/crash.ts";
import { ENTER } from "./contract/enter.ts";
import { ENVIRONMENT } from "./contract/environment.ts";
import { FILES } from "./contract/files.ts";
import type { BackendHarness } from "./contract/harness.ts";
import { IMAGES } from "./contract/images.ts";
import { ISOLATION } from "./contract/isolation.ts";
import { LOGS } from "./contract/logs.ts";
import { RELEASE } from "./contract/release.ts";
import { RESULTS } from "./contract/results.ts";
import { DEADLINE_MS, Rig } from "./contract/rig.ts";
import { SECRETS } from "./contract/secrets.ts";
import { BackendError, type BackendSession, type Capabilities } from "./execution-backend.ts";

const GROUPS: readonly ContractGroup[] = [
  RESULTS,
  IMAGES,
  CANCEL,
  CRASH,
  LOGS,
  ENVIRONMENT,
  FILES,
  SECRETS,
  ISOLATION,
  ENTER,
  RELEASE,
];

/**
 * The suite that every backend passes: one test per promise of execution-backend.ts. What a backend's capabilities say
 * that it cannot do is skipped with the reason, and beside it stands a test that it refuses such a request.
 *
 *     await backendContract("process", harness);
 */
export async function backendContract(name: string, harness: BackendHarness): Promise<void> {
  const capabilities = await probeOnce(harness);
  describe(`the ${name} backend keeps the contract`, () => {
    let shared: { session: BackendSession; capabilities: Capabilities; image: string | null };

    before(async () => {
      const session = await harness.open();
      shared = { session, capabilities, image: await prepareStepImage(session, harness) };
    });
    after(async () => {
      await shared?.session[Symbol.asyncDispose]();
      await harness.close();
    });

    const openRig = (): Rig => new Rig(harness, shared, `contract-${randomBytes(6).toString("hex")}`);

    for (const group of GROUPS) {
      describe(group.title, () => {
        for (const entry of group.cases) defineCase(entry, harness, capabilities, openRig);
      });
    }
  });
}

function defineCase(
  entry: ContractCase,
  harness: BackendHarness,
  capabilities: Capabilities,
  openRig: () => Rig,
): void {
  const unmet = (entry.needs ?? []).find((need) => !need.met(capabilities, harness));
  test(entry.title, { skip: unmet?.why ?? false, timeout: DEADLINE_MS * 2 }, async () => {
    await using rig = openRig();
    await entry.run(rig);
  });
  const refuses = unmet?.refuses;
  if (refuses === undefined) return;
  test(`${entry.title} — asked for it all the same, it refuses ${refuses.path}`, async () => {
    await using rig = openRig();
    await assertRefused(rig, refuses);
  });
}

async function assertRefused(rig: Rig, { path, change }: NonNullable<Need["refuses"]>): Promise<void> {
  const laid = await rig.lay([{ do: "append", file: "runs", text: "x" }]);
  const asked = change(laid.spec);
  const planned = rig.session.plan(asked);
  assert.ok(!planned.ok, "the request is refused by plan");
  assert.deepEqual(
    planned.unsupported.map((part) => part.path),
    [path],
  );
  assert.ok(planned.unsupported.every(({ why }) => why.length > 0));
  assert.equal(rig.session.plan(laid.spec).ok, true, "and it is the request alone that is refused");
  for (const act of [() => rig.session.submit(laid.ref, asked), () => rig.session.prepare(laid.ref, asked)]) {
    await assert.rejects(act, (error) => error instanceof BackendError && error.code === "spec-unsupported");
  }
  assert.deepEqual(await rig.inventory(), []);
  assert.equal(rig.output(laid, "runs"), "");
}

async function probeOnce(harness: BackendHarness): Promise<Capabilities> {
  await using session = await harness.open();
  const probe = await session.probe();
  assert.ok(probe.healthy, `the backend must be healthy to be tested: ${probe.reason}`);
  return probe.capabilities;
}

async function prepareStepImage(session: BackendSession, harness: BackendHarness): Promise<string | null> {
  const image = await harness.image();
  if (image === null) return null;
  const result = await session.prepareImage({ kind: "ready", image }, () => {}, AbortSignal.timeout(DEADLINE_MS));
  assert.ok(result.ok, `the image of the steps is there: ${JSON.stringify(result)}`);
  return result.image;
}
