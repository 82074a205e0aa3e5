import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageRequest, ImageResult } from "../image-request.ts";
import { type ContractGroup, NEEDS } from "./case.ts";
import { DEADLINE_MS, type Rig } from "./rig.ts";

/** What is asked of an image is an outcome: a user's mistake is no exception, and names itself. */
export const IMAGES: ContractGroup = {
  title: "images",
  cases: [
    {
      title: "without images, preparing one is refused as unsupported",
      async run(rig) {
        if (rig.capabilities.images) return;
        const ready = await prepareImage(rig, { kind: "ready", image: "busybox" });
        assert.equal(ready.result.ok ? null : ready.result.fault.code, "spec-unsupported");
      },
    },
    {
      title: "an image that is there is ready at once, however many ask for it",
      needs: [NEEDS.images],
      async run(rig) {
        const request = { kind: "ready", image: rig.image ?? "" } as const;
        const prepared = await Promise.all([prepareImage(rig, request), prepareImage(rig, request)]);
        for (const { result } of prepared) assert.deepEqual([result.ok, result.ok && result.cached], [true, true]);
      },
    },
    {
      title: "an image that does not exist is a configuration fault within a minute",
      needs: [NEEDS.images],
      async run(rig) {
        const startedAtMs = performance.now();
        const image = "127.0.0.1:1/berth-contract/no-such-image:1";
        const { result } = await prepareImage(rig, { kind: "ready", image });
        assert.ok(!result.ok);
        assert.match(result.fault.message, /no-such-image/);
        assert.ok(performance.now() - startedAtMs < DEADLINE_MS);
      },
    },
    {
      title: "an image is built once for all who ask at the same time, runs, and is up to date afterwards",
      needs: [NEEDS.build, NEEDS.programs],
      async run(rig) {
        // Never the same line twice: a builder that did this before would say nothing about it.
        const line = `building ${randomUUID()}`;
        const request = await buildRequest(rig, ["COPY hello /hello", `RUN echo ${line}`, "ENV FROM_IMAGE=yes"]);
        const both = await Promise.all([prepareImage(rig, request), prepareImage(rig, request)]);
        for (const { result } of both) assert.ok(result.ok, JSON.stringify(result));
        const log = both.map(({ text }) => text).join("");
        assert.ok(log.includes(`\n${line}\n`), `the build's output is in the log: ${log}`);
        const again = await prepareImage(rig, request);
        assert.equal(again.result.ok && again.result.cached, true);
        const image = again.result.ok ? again.result.image : "";
        const { handle, outcome } = await rig.runShell('cat /hello; echo "$FROM_IMAGE"', { image });
        assert.equal(outcome.state, "succeeded");
        assert.equal((await rig.log(handle)).toString(), "hello from the context\nyes\n");
      },
    },
    {
      title: "a failing build is a configuration fault that quotes the failing line",
      needs: [NEEDS.build],
      async run(rig) {
        const { result } = await prepareImage(rig, await buildRequest(rig, ["RUN echo fails-here && exit 3"]));
        assert.ok(!result.ok);
        assert.equal(result.fault.code, "image-build-failed");
        assert.match(`${result.fault.message} ${result.fault.evidence}`, /fails-here/);
      },
    },
  ],
};

async function prepareImage(rig: Rig, request: ImageRequest): Promise<{ result: ImageResult; text: string }> {
  const chunks: Uint8Array[] = [];
  const signal = AbortSignal.timeout(DEADLINE_MS * 2);
  const result = await rig.session.prepareImage(request, (chunk) => chunks.push(chunk), signal);
  return { result, text: Buffer.concat(chunks).toString() };
}

/** The tag is fresh each time, so that there is something to build, and tells whose it is. */
async function buildRequest(rig: Rig, lines: readonly string[]): Promise<ImageRequest> {
  const { spec } = await rig.lay([]);
  writeFileSync(join(spec.folder, "in", "hello"), "hello from the context\n");
  const dockerfile = [`FROM ${rig.image}`, ...lines, ""].join("\n");
  const tag = `berth-contract/${rig.harness.installation}:${randomUUID()}`;
  return { kind: "build", tag, context: join(spec.folder, "in"), dockerfile, args: {} };
}
