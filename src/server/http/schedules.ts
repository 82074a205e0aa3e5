import { z } from "zod";
import { nextTimes } from "../../pipeline/cron.ts";
import { Name } from "../../protocol/names.ts";
import { PageQuery, pageOf, RunDetail } from "../../protocol/resources.ts";
import {
  AppliedSchedules,
  ApplySchedulesRequest,
  Firing,
  PauseRequest,
  Schedule,
  ScheduleDetail,
  ScheduleState,
} from "../../protocol/schedules.ts";
import {
  applySchedules,
  noSchedule,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
  runSchedule,
  type ScheduleRef,
} from "../scheduling/change-schedules.ts";
import type { Services } from "../services.ts";
import { listFirings } from "../store/firings.ts";
import { listSchedules } from "../store/schedules.ts";
import { nameOf } from "./callers.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { runDetail } from "./runs.ts";

const ScheduleParams = z.object({ pipeline: Name, schedule: Name });
const NEXT_SHOWN = 5;
const FIRINGS_SHOWN = 20;

export function scheduleRoutes(services: Services): Route[] {
  const { database } = services;
  const find = async (project: string, ref: ScheduleRef): Promise<Schedule> => {
    const found = await listSchedules(database.pool, project, { ...ref, state: null, after: null, limit: 1 });
    return found[0] ?? noSchedule(ref);
  };
  const show = async (project: string, ref: ScheduleRef): Promise<ScheduleDetail> => {
    const schedule = await find(project, ref);
    const { nextAt } = schedule;
    const next = nextAt === null ? [] : nextTimes(schedule, Date.parse(nextAt) - 1, NEXT_SHOWN);
    const firings = await listFirings(database.pool, schedule.id, { before: null, limit: FIRINGS_SHOWN });
    return { ...schedule, next: next.map((ms) => new Date(ms).toISOString()), firings };
  };
  return [
    defineRoute({
      method: "POST",
      path: "/schedules/apply",
      access: { kind: "role", role: "developer" },
      audit: "schedule.apply",
      summary: "Make the schedules of a pipeline those of its file",
      tag: "schedules",
      schemas: { body: ApplySchedulesRequest, response: AppliedSchedules },
      errors: ["invalid_pipeline", "missing_blobs"],
      handler: async ({ body, project, principal }) =>
        applySchedules(database, { project, by: nameOf(principal) }, body),
    }),
    defineRoute({
      method: "GET",
      path: "/schedules",
      access: { kind: "role", role: "viewer" },
      summary: "List schedules by pipeline and name, with their next and last due time",
      tag: "schedules",
      schemas: {
        query: PageQuery.extend({ pipeline: Name.optional(), state: ScheduleState.optional() }),
        response: pageOf(Schedule),
      },
      handler: async ({ query: { pipeline = null, state = null, cursor, limit }, project }) => {
        const after = cursor === undefined ? null : decodeCursor(z.tuple([z.string(), z.string()]), cursor);
        const filter = { pipeline, name: null, state, after, limit: limit + 1 };
        const schedules = await listSchedules(database.pool, project, filter);
        return nextPage(schedules, limit, (last) => encodeCursor([last.pipeline, last.name]));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/schedules/:pipeline/:schedule",
      access: { kind: "role", role: "viewer" },
      summary: "Show a schedule: its next due times, and what became of the last ones",
      tag: "schedules",
      schemas: { params: ScheduleParams, response: ScheduleDetail },
      handler: async ({ params, project }) => show(project, refOf(params)),
    }),
    defineRoute({
      method: "GET",
      path: "/schedules/:pipeline/:schedule/firings",
      access: { kind: "role", role: "viewer" },
      summary: "List the due times of a schedule, newest first, each with its run or why it made none",
      tag: "schedules",
      schemas: { params: ScheduleParams, query: PageQuery, response: pageOf(Firing) },
      handler: async ({ params, query: { cursor, limit }, project }) => {
        const { id } = await find(project, refOf(params));
        const before = cursor === undefined ? null : new Date(decodeCursor(z.tuple([z.iso.datetime()]), cursor)[0]);
        const firings = await listFirings(database.pool, id, { before, limit: limit + 1 });
        return nextPage(firings, limit, ({ dueAt }) => encodeCursor([dueAt]));
      },
    }),
    defineRoute({
      method: "POST",
      path: "/schedules/:pipeline/:schedule/pause",
      access: { kind: "role", role: "developer" },
      audit: "schedule.pause",
      summary: "Pause a schedule: nothing of it is due until it is resumed",
      tag: "schedules",
      schemas: { params: ScheduleParams, body: PauseRequest.nullish(), response: ScheduleDetail },
      handler: async ({ params, body, project, principal }) => {
        const submitter = { project, by: nameOf(principal) };
        await pauseSchedule(database, submitter, refOf(params), body?.reason ?? null);
        return show(project, refOf(params));
      },
    }),
    defineRoute({
      method: "POST",
      path: "/schedules/:pipeline/:schedule/resume",
      access: { kind: "role", role: "developer" },
      audit: "schedule.resume",
      summary: "Resume a schedule; what passed meanwhile is not caught up",
      tag: "schedules",
      schemas: { params: ScheduleParams, response: ScheduleDetail },
      errors: ["conflict"],
      handler: async ({ params, project }) => {
        await resumeSchedule(database, project, refOf(params));
        return show(project, refOf(params));
      },
    }),
    defineRoute({
      method: "POST",
      path: "/schedules/:pipeline/:schedule/run",
      access: { kind: "role", role: "developer" },
      audit: "schedule.run",
      summary: "Run what a schedule runs, now",
      tag: "schedules",
      schemas: { params: ScheduleParams, response: RunDetail },
      status: 201,
      errors: ["invalid_params", "missing_blobs", "group_busy"],
      handler: async ({ params, project, principal }) => {
        const run = await runSchedule(services, { project, by: nameOf(principal) }, refOf(params));
        return runDetail(database, project, run);
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/schedules/:pipeline/:schedule",
      access: { kind: "role", role: "developer" },
      audit: "schedule.remove",
      summary: "Remove a schedule, until its file is applied again",
      tag: "schedules",
      schemas: { params: ScheduleParams, response: null },
      handler: async ({ params, project }) => removeSchedule(database, project, refOf(params)),
    }),
  ];
}

function refOf({ pipeline, schedule }: z.infer<typeof ScheduleParams>): ScheduleRef {
  return { pipeline, name: schedule };
}
