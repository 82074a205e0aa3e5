import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageResult } from "../backends/image-request.ts";
import { type FaultCode, fault } from "../protocol/faults.ts";
import type { Environment } from "../protocol/plan.ts";
import { exactImage } from "./exact-image.ts";

const ID = `sha256:${"1".repeat(64)}`;
const DIGEST = `sha256:${"2".repeat(64)}`;
const READY: Environment = { kind: "image", image: "registry:5000/tool:1.2", source: null, env: {} };
const BUILT: Environment = { kind: "recipe", base: "b", apt: [], python: null, node: null, source: null, env: {} };

/** Asks for an image on a platform that has, or can get, these. */
async function ask(environment: Environment, digest: string, there: readonly string[], refusal?: FaultCode) {
  const asked: string[] = [];
  const session = {
    async prepareImage(request: { kind: string; image?: string }): Promise<ImageResult> {
      const { image = "" } = request;
      asked.push(image);
      if (there.includes(image)) return { ok: true, image: ID, digest, cached: true };
      return { ok: false, fault: fault(refusal ?? "image-not-found", `there is no ${image}`) };
    },
  };
  const request = { environment, image: { id: ID, digest } };
  const result = await exactImage(session, request, () => {}, new AbortController().signal);
  return { asked, result };
}

test("the very image is found by its id, or pulled by its digest, and never by its name", async () => {
  assert.deepEqual((await ask(READY, DIGEST, [ID, "registry:5000/tool:1.2"])).asked, [ID]);
  const pulled = await ask(READY, DIGEST, [`registry:5000/tool@${DIGEST}`]);
  assert.deepEqual([pulled.asked, pulled.result.ok], [[ID, `registry:5000/tool@${DIGEST}`], true]);
  const gone = await ask(READY, DIGEST, ["registry:5000/tool:1.2"]);
  assert.ok(!gone.result.ok && gone.result.fault.code === "image-not-found");
});

test("an image that was built, or is of no registry, is known by its id alone", async () => {
  for (const [environment, digest] of [
    [BUILT, DIGEST],
    [READY, ID],
  ] as const) {
    const { asked, result } = await ask(environment, digest, []);
    assert.deepEqual(asked, [ID]);
    assert.ok(!result.ok && result.fault.message.includes(ID), JSON.stringify(result));
  }
});

test("a platform that refuses for another reason is not asked for something else", async () => {
  const { asked, result } = await ask(READY, DIGEST, [], "image-arch");
  assert.deepEqual(asked, [ID]);
  assert.ok(!result.ok && result.fault.code === "image-arch");
});
