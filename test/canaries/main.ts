import { ensureDocker } from "../setup/docker.ts";
import { canaryTrial } from "./trial.ts";

/** `npm run canaries`: looks for secrets that steps had and said wherever they may have come to lie. Exits 1 on a hit. */
await using _docker = await ensureDocker();
const { looked, blind } = await canaryTrial(["process", "docker"], (line) => process.stderr.write(`${line}\n`));
const width = Math.max(...looked.map(({ place }) => place.length));
for (const { place, bytes, secrets, control } of looked) {
  const found = secrets.length === 0 ? "0 hits" : `HITS: ${secrets.join(", ")}`;
  const seen = control ? "sees what is no secret" : "nothing to be seen";
  process.stdout.write(`${place.padEnd(width)}  ${String(bytes).padStart(12)} bytes  ${found}  (${seen})\n`);
}
for (const place of blind) process.stdout.write(`BLIND: what is no secret has to be in: ${place}\n`);
const hits = looked.filter(({ secrets }) => secrets.length > 0).length;
process.stdout.write(`${looked.length - hits} passed, ${hits + blind.length} failed\n`);
if (hits + blind.length > 0) process.exitCode = 1;
