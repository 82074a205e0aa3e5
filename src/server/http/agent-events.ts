import { z } from "zod";
import { EventsRequest, EventsResponse } from "../../protocol/agent-api.ts";
import { idOf } from "../../protocol/ids.ts";
import { maskEvent } from "../../protocol/mask-events.ts";
import { admitOutputs, endingAtQuota } from "../scheduling/admit-outputs.ts";
import { passPlacesOn } from "../scheduling/places.ts";
import { recordEvents } from "../scheduling/record-events.ts";
import type { SecretValues } from "../scheduling/secret-values.ts";
import type { ContractCache } from "../scheduling/step-contracts.ts";
import type { Services } from "../services.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, IN_EVENTS, type Route } from "./route.ts";

export function agentEventsRoute(services: Services, contracts: ContractCache, secrets: SecretValues): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/runs/:run/events",
    access: { kind: "agent", boot: "current" },
    audit: IN_EVENTS,
    summary: "What happened in a run, in order; the end of an attempt commits its outputs",
    tag: "agent",
    schemas: { params: z.object({ run: idOf("run") }), body: EventsRequest, response: EventsResponse },
    errors: [
      "not_found",
      "stale_epoch",
      "sequence_gap",
      "missing_blobs",
      "conflict",
      "digest_mismatch",
      "quota_exceeded",
    ],
    handler: async ({ params: { run }, body: { epoch, events: sent }, principal, project }) => {
      const { worker } = workerOf(principal);
      const holder = { project, worker, run, epoch };
      const mask = await secrets.maskFor(project, run);
      const events = sent.map((event) => ({ ...event, body: maskEvent(event.body, mask) }));
      await endingAtQuota(services, holder, () => admitOutputs(services, holder, events));
      const { ackedSeq, cancel, ended } = await recordEvents(services, contracts, holder, events);
      services.wakeups.notify(`run:${run}`);
      if (ended) await passPlacesOn(services, [run]);
      // The worker has a slot more; its own poll may be the one that waits.
      if (ended) services.wakeups.notify("queue");
      return { ackedSeq, cancel };
    },
  });
}
