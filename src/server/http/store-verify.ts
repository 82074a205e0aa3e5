import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyReply } from "fastify";
import { VerifyStorePage, VerifyStoreRequest } from "../../protocol/store-verify.ts";
import type { Services } from "../services.ts";
import { verifyStore } from "../store/verify-store.ts";
import { decodeKey, encodeCursor } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { STILL_HERE_INTERVAL_MS, streamAnswer } from "./stream-answer.ts";

/** Looking at all bytes of a project, a part with each request, so that no server has to remember anything. */
export function storeVerifyRoutes(services: Pick<Services, "database" | "blobs" | "objects">): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/store/verify",
      access: { kind: "role", role: "operator" },
      audit: { none: "it finds what is damaged; nothing that is whole changes" },
      summary: "Check the next blobs of the project; what is found counts as absent until it is stored again",
      tag: "store",
      schemas: { body: VerifyStoreRequest, response: VerifyStorePage },
      handler: async ({ body: { cursor, quick }, project, reply }) => {
        const after = decodeKey(cursor) ?? "";
        return await answerSlowly(reply, async () => {
          const page = await verifyStore(services, { project, after, quick });
          return { ...page, next: page.next === null ? null : encodeCursor([page.next]) };
        });
      },
    }),
  ];
}

/**
 * One blob can be so large that hashing it takes minutes. What JSON allows before a value keeps the connection alive
 * meanwhile; a failure after that can only break it off.
 */
async function answerSlowly<T>(reply: FastifyReply, work: () => Promise<T>): Promise<unknown> {
  const working = work();
  const isDone = () => Promise.race([working.then(() => true), sleep(STILL_HERE_INTERVAL_MS, false, { ref: false })]);
  if (await isDone()) return await working;
  const pieces = async function* () {
    do yield "\n";
    while (!(await isDone()));
    yield JSON.stringify(await working);
  };
  return streamAnswer(reply, "application/json", pieces());
}
