import { pino } from "pino";
import { newId } from "../../protocol/ids.ts";
import { AgentClient } from "../agent-client.ts";
import { HeartbeatLoop } from "../heartbeat-loop.ts";
import { HeldRuns } from "../held-runs.ts";
import { loadIdentity } from "../identity.ts";

/** A process that boots, starts the heartbeat, says so, and then blocks its main thread for good. */
const identity = loadIdentity(process.argv[2]!)!;
const bootId = newId("boot");
const client = new AgentClient({ ...identity, bootId });
const capabilities = {
  os: "linux",
  arch: "x64",
  cpus: 1,
  memoryBytes: 1,
  diskFreeBytes: 1,
  gpus: [],
  backends: {},
  slots: 1,
};
await client.boot({ bootId, agentVersion: "1", apiVersion: 1, capabilities, held: [] });
const first = Promise.withResolvers<void>();
void new HeartbeatLoop({
  ...identity,
  bootId,
  held: new HeldRuns(),
  intervalMs: 20,
  onDraining: () => first.resolve(),
  onFenced: () => process.exit(1),
  log: pino({ level: "silent" }),
});
await first.promise;
process.stdout.write("blocked\n");
for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
