import type { BackendSession, Capabilities } from "../../backends/execution-backend.ts";
import { CliError, usageError } from "../cli-error.ts";
import type { LocalBackend } from "../context.ts";

/** Long enough for an engine that is busy. */
const PROBE_TIMEOUT_MS = 15_000;

/** The backend that is named, or that the attempt ran on. */
export function chooseLocalBackend(
  backends: readonly LocalBackend[],
  { wanted, ranOn }: { readonly wanted: string | undefined; readonly ranOn: string },
): LocalBackend {
  const name = wanted ?? ranOn;
  const found = backends.find(({ backend }) => backend.name === name);
  if (found !== undefined) return found;
  const names = backends.map(({ backend }) => backend.name).join(", ");
  if (wanted !== undefined) throw usageError(`There is no backend "${wanted}" here.`, `There are: ${names}.`);
  throw usageError(
    `The attempt ran on ${ranOn}, which this machine does not have.`,
    `--backend names another: ${names}.`,
  );
}

export async function capabilitiesOf(name: string, session: BackendSession): Promise<Capabilities> {
  const probe = await session.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS));
  if (probe.healthy) return probe.capabilities;
  throw new CliError(`The backend ${name} does not work on this machine: ${probe.reason ?? "it does not say why"}`);
}
