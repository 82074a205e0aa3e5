import { newId } from "../../src/protocol/ids.ts";
import { realServer } from "./real-server.ts";
import type { Scenario } from "./scenario.ts";
import type { ServerApi } from "./server-api.ts";
import type { SimulatedDatabase } from "./simulated-database.ts";
import { runIn, type Scheduler, wallClockMs } from "./world/virtual-time.ts";

/** The real server for one seed: one decision at a time, while the simulated time stands still. */
export async function openReal(
  simulated: SimulatedDatabase,
  { recoveryAfterMs }: Pick<Scenario, "recoveryAfterMs">,
  scheduler: Scheduler,
): Promise<ServerApi> {
  let before: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> =>
    runIn(undefined, () => {
      const mine = before.then(async () => {
        await simulated.setTime(wallClockMs());
        return work();
      });
      before = mine.catch(() => {});
      return scheduler.outside(mine);
    });
  const project = newId("project");
  await alone(() => simulated.begin(project));
  return realServer({ simulated, project, recoveryAfterMs, alone });
}
