import { z } from "zod";
import { pageOf, RunDetail } from "../../protocol/resources.ts";
import { AppliedSchedules, type ApplySchedulesRequest, Schedule, ScheduleDetail } from "../../protocol/schedules.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const SchedulePage = pageOf(Schedule);

/** `wine/nightly`, in two. */
export interface ScheduleName {
  readonly pipeline: string;
  readonly schedule: string;
}

export function applySchedules(api: ApiClient, request: ApplySchedulesRequest): Promise<AppliedSchedules> {
  return api.post("/schedules/apply", request, AppliedSchedules);
}

export function listSchedules(api: ApiClient, pipeline: string | undefined): Promise<Schedule[]> {
  return allPages((query) => api.get("/schedules", SchedulePage, { query: { ...query, pipeline } }));
}

export async function hasActiveSchedules(api: ApiClient): Promise<boolean> {
  return (await api.get("/schedules", SchedulePage, { query: { state: "active", limit: 1 } })).items.length > 0;
}

export function getSchedule(api: ApiClient, name: ScheduleName): Promise<ScheduleDetail> {
  return api.get(pathOf(name), ScheduleDetail);
}

export function pauseSchedule(api: ApiClient, name: ScheduleName, reason: string | null): Promise<ScheduleDetail> {
  return api.post(`${pathOf(name)}/pause`, { reason }, ScheduleDetail);
}

export function resumeSchedule(api: ApiClient, name: ScheduleName): Promise<ScheduleDetail> {
  return api.post(`${pathOf(name)}/resume`, undefined, ScheduleDetail);
}

export function runSchedule(api: ApiClient, name: ScheduleName): Promise<RunDetail> {
  return api.post(`${pathOf(name)}/run`, undefined, RunDetail);
}

export function removeSchedule(api: ApiClient, name: ScheduleName): Promise<void> {
  return api.delete(pathOf(name), z.undefined());
}

function pathOf({ pipeline, schedule }: ScheduleName): string {
  return `/schedules/${encodeURIComponent(pipeline)}/${encodeURIComponent(schedule)}`;
}
