import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { ApiClient } from "../api/client.ts";
import { createRegistrationToken } from "../api/tokens.ts";
import { listWorkers } from "../api/workers.ts";
import { CliError } from "../cli-error.ts";
import type { CliContext, RegisteredWorker } from "../context.ts";
import { embeddedEndpoint } from "./embedded-endpoint.ts";
import { homeFiles } from "./home.ts";

/** Makes sure that the embedded platform has its worker: on the first start it is registered like any other. */
export async function ensureLocalWorker(context: CliContext, home: string, url: string): Promise<RegisteredWorker> {
  const endpoint = embeddedEndpoint(home);
  if (endpoint === null) throw new CliError(`The server is up, but left no address or token in ${home}.`);
  const api = new ApiClient(() => ({ ...endpoint, url }));
  const folder = homeFiles(home).localAgent;
  const workers = await listWorkers(api);
  const known = await context.programs.registeredWorker(folder);
  if (known !== null) {
    if (workers.some((worker) => worker.id === known.id)) return known;
    // The database is another one than it was: what the folder holds belongs to no run of this one.
    renameSync(folder, `${folder}.old-${Date.now()}`);
  }
  const { token } = await createRegistrationToken(api, {});
  const name = workers.some((worker) => worker.name === "local") ? `local-${randomBytes(3).toString("hex")}` : "local";
  const here = { env: context.env, trust: endpoint.trust };
  return context.programs.registerAgent({ ...here, home: folder, server: url, token, name, type: "local" });
}
