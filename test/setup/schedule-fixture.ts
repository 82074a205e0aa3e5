import assert from "node:assert/strict";
import type { AppliedSchedules, ScheduleDetail } from "../../src/protocol/schedules.ts";
import { CHAIN } from "./run-fixture.ts";
import type { TestServer } from "./server.ts";

/** What tests of schedules have in common. */

/** The pipeline `chain` with one schedule, `nightly`. */
export function nightly(settings = "", cron = "0 3 * * *"): string {
  return `${CHAIN}params: { seed: 7 }\nschedules: { nightly: { cron: "${cron}"${settings === "" ? "" : `, ${settings}`} } }\n`;
}

export async function apply(server: TestServer, pipeline: string): Promise<AppliedSchedules> {
  const answer = await server.call("developer", { method: "POST", url: "/schedules/apply", payload: { pipeline } });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

export async function showSchedule(server: TestServer, name = "chain/nightly"): Promise<ScheduleDetail> {
  const answer = await server.call("viewer", { url: `/schedules/${name}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

const HOUR_MS = 3_600_000;
/** Five minutes ago, so that it is never near to the next one however long a test takes. */
const LAST_DUE = new Date(Math.floor(Date.now() / 60_000 - 5) * 60_000);

/** A cron expression that was due a few minutes ago, and each hour before. */
export const EACH_HOUR = `${LAST_DUE.getUTCMinutes()} * * * *`;

/** Lets a schedule be due that was so `times` times since a server looked; of EACH_HOUR. */
export async function letBeDue({ services }: TestServer, times = 1): Promise<void> {
  const first = new Date(LAST_DUE.getTime() - (times - 1) * HOUR_MS);
  await services.database.pool.query("UPDATE schedules SET next_at = $1", [first]);
}

/** Moves the due times that were seen into the past, so that the last one can come again. */
export async function hoursPass({ services }: TestServer, hours = 1): Promise<void> {
  // In two moves, so that none of them meets one that has not moved yet.
  const { pool } = services.database;
  await pool.query("UPDATE schedule_firings SET due_at = due_at - interval '36500 days'");
  await pool.query("UPDATE schedule_firings SET due_at = due_at + interval '36500 days' - $1 * interval '1 hour'", [
    hours,
  ]);
}

/** What became of each due time, the oldest first. */
export function outcomes({ firings }: ScheduleDetail): string[] {
  return firings
    .map(({ state, reason, run }) => reason ?? (run === null ? state : `${state} #${run.number}`))
    .reverse();
}
