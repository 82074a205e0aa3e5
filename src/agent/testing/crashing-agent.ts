import { pino } from "pino";
import { processBackend } from "../../backends/process/process-backend.ts";
import { startAgent } from "../agent.ts";
import { Journal } from "../journal.ts";

/**
 * An agent that is killed at an exact place: `node crashing-agent.ts HOME before|after RECORD N` sends itself SIGKILL
 * right before, or right after, it writes the Nth record of this type, or with this event, to a journal.
 */
const [home, when, type, count] = process.argv.slice(2) as [string, "before" | "after", string, string];
const append = Journal.prototype.append;
let seen = 0;

Journal.prototype.append = function (record) {
  const matches = record.type === type || record.events?.some(({ body }) => body.type === type);
  if (matches) seen += 1;
  const isNow = matches && seen === Number(count);
  if (isNow && when === "before") process.kill(process.pid, "SIGKILL");
  append.call(this, record);
  if (isNow) process.kill(process.pid, "SIGKILL");
};

const settings = { diskFreeMinBytes: 0 };
await startAgent({
  home,
  backends: [processBackend()],
  version: "test",
  settings,
  log: pino({ level: "silent" }),
  heartbeatIntervalMs: 50,
});
