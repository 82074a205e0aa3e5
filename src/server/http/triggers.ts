import { z } from "zod";
import { idOf } from "../../protocol/ids.ts";
import { Name } from "../../protocol/names.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import { PauseRequest } from "../../protocol/schedules.ts";
import {
  CreateTriggerRequest,
  PutTriggerRequest,
  RotateTriggerRequest,
  Trigger,
  TriggerDetail,
  TriggerState,
  TriggerWithSecret,
} from "../../protocol/triggers.ts";
import {
  changeTrigger,
  createTrigger,
  noTrigger,
  pauseTrigger,
  removeTrigger,
  rotateTrigger,
} from "../scheduling/change-triggers.ts";
import type { Services } from "../services.ts";
import { listDeliveries } from "../store/deliveries.ts";
import { findTrigger, listTriggers } from "../store/triggers.ts";
import { nameOf } from "./callers.ts";
import { decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

const TriggerParams = z.object({ trigger: z.union([idOf("trigger"), Name]) });
const DELIVERIES_SHOWN = 20;

/** Triggers for those who own them; hooks.ts is for those who call. */
export function triggerRoutes(services: Services): Route[] {
  const { database } = services;
  const show = async (project: string, reference: string): Promise<TriggerDetail> => {
    const trigger = (await findTrigger(database.pool, project, reference)) ?? noTrigger(reference);
    return { ...trigger, deliveries: await listDeliveries(database.pool, trigger.id, DELIVERIES_SHOWN) };
  };
  return [
    defineRoute({
      method: "POST",
      path: "/triggers",
      access: { kind: "role", role: "developer" },
      audit: "trigger.create",
      summary: "Create a trigger; its secret is in this answer and nowhere else",
      tag: "triggers",
      schemas: { body: CreateTriggerRequest, response: TriggerWithSecret },
      status: 201,
      errors: ["invalid_pipeline", "invalid_params", "missing_blobs", "conflict"],
      handler: async ({ body, project, principal }) =>
        createTrigger(services, { project, by: nameOf(principal) }, body),
    }),
    defineRoute({
      method: "GET",
      path: "/triggers",
      access: { kind: "role", role: "viewer" },
      summary: "List triggers by name",
      tag: "triggers",
      schemas: { query: PageQuery.extend({ state: TriggerState.optional() }), response: pageOf(Trigger) },
      handler: async ({ query: { state = null, cursor, limit }, project }) =>
        nextPage(
          await listTriggers(database.pool, project, { state, after: decodeKey(cursor), limit: limit + 1 }),
          limit,
          ({ name }) => encodeCursor([name]),
        ),
    }),
    defineRoute({
      method: "GET",
      path: "/triggers/:trigger",
      access: { kind: "role", role: "viewer" },
      summary: "Show a trigger, by id or by name, with what became of the last messages",
      tag: "triggers",
      schemas: { params: TriggerParams, response: TriggerDetail },
      handler: async ({ params: { trigger }, project }) => show(project, trigger),
    }),
    defineRoute({
      method: "PUT",
      path: "/triggers/:trigger",
      access: { kind: "role", role: "developer" },
      audit: "trigger.change",
      summary: "Change what a trigger runs; its address and secret stay, and params and when where they are not given",
      tag: "triggers",
      schemas: { params: TriggerParams, body: PutTriggerRequest, response: TriggerDetail },
      errors: ["invalid_pipeline", "invalid_params", "missing_blobs"],
      handler: async ({ params: { trigger }, body, project, principal }) => {
        await changeTrigger(services, { project, by: nameOf(principal) }, trigger, body);
        return show(project, trigger);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/triggers/:trigger/rotate",
      access: { kind: "role", role: "developer" },
      audit: "trigger.rotate",
      summary: "Give a trigger a new secret, which is in this answer and nowhere else",
      tag: "triggers",
      schemas: { params: TriggerParams, body: RotateTriggerRequest, response: TriggerWithSecret },
      errors: ["conflict"],
      handler: async ({ params: { trigger }, body, project, principal }) =>
        rotateTrigger(services, { project, by: nameOf(principal) }, trigger, body.keepOldSeconds),
    }),
    defineRoute({
      method: "POST",
      path: "/triggers/:trigger/pause",
      access: { kind: "role", role: "developer" },
      audit: "trigger.pause",
      summary: "Pause a trigger: its messages are refused until it is resumed",
      tag: "triggers",
      schemas: { params: TriggerParams, body: PauseRequest.nullish(), response: TriggerDetail },
      handler: async ({ params: { trigger }, body, project, principal }) => {
        await pauseTrigger(services, { project, by: nameOf(principal) }, trigger, body?.reason ?? null);
        return show(project, trigger);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/triggers/:trigger/resume",
      access: { kind: "role", role: "developer" },
      audit: "trigger.resume",
      summary: "Resume a trigger",
      tag: "triggers",
      schemas: { params: TriggerParams, response: TriggerDetail },
      handler: async ({ params: { trigger }, project, principal }) => {
        await pauseTrigger(services, { project, by: nameOf(principal) }, trigger, undefined);
        return show(project, trigger);
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/triggers/:trigger",
      access: { kind: "role", role: "developer" },
      audit: "trigger.remove",
      summary: "Remove a trigger: its address and secret are good for nothing any more",
      tag: "triggers",
      schemas: { params: TriggerParams, response: null },
      handler: async ({ params: { trigger }, project }) => removeTrigger(services, project, trigger),
    }),
  ];
}
