import { ensureDocker } from "../setup/docker.ts";
import { PROBES } from "./probes.ts";
import { HEARTBEAT_GAP_MAX_MS, probeTrial } from "./trial.ts";

/** `npm run probes [-- NAME…]`: tries to break out of steps; prints what became of each attempt. Exits 1 on a breach. */
const names = process.argv.slice(2);
const unknown = names.filter((name) => !PROBES.some((probe) => probe.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `no probe is called ${unknown.join(", ")}; there are: ${PROBES.map(({ name }) => name).join(", ")}\n`,
  );
  process.exit(2);
}
await using _docker = await ensureDocker();
const wanted = PROBES.filter(({ name }) => names.length === 0 || names.includes(name));
const { verdicts, heartbeatGapMs, harm, metadataTried } = await probeTrial(wanted, (line) =>
  process.stderr.write(`${line}\n`),
);
const width = Math.max(...verdicts.map(({ probe }) => probe.attack.length));
for (const { probe, verdict, evidence } of verdicts) {
  process.stdout.write(`${verdict.padEnd(9)}  ${probe.attack.padEnd(width)}  ${evidence}\n`);
}
for (const what of harm) process.stdout.write(`HARM       ${what}\n`);
if (!metadataTried) process.stdout.write("the metadata address was not tried: giving it to a listener needs root\n");
const seconds = (heartbeatGapMs / 1000).toFixed(1);
process.stdout.write(`longest time between two heartbeats of the agent: ${seconds} s\n`);
const good = verdicts.filter(({ verdict }) => verdict === "refused" || verdict === "contained").length;
process.stdout.write(`${good} passed, ${verdicts.length - good + harm.length} failed\n`);
if (good < verdicts.length || harm.length > 0 || heartbeatGapMs > HEARTBEAT_GAP_MAX_MS) process.exitCode = 1;
