import type { AttemptRef, Handle } from "../execution-backend.ts";

/** Labels of everything that Berth makes on an engine. What a container is for is read here, never in its name. */
const LABEL = {
  installation: "berth.installation",
  kind: "berth.kind",
  run: "berth.run",
  stepRun: "berth.step-run",
  attempt: "berth.attempt",
  scope: "berth.scope",
  folder: "berth.folder",
  spec: "berth.spec",
} as const;

type Labels = Readonly<Record<string, string>>;

export interface AttemptLabels {
  readonly ref: AttemptRef;
  readonly folder: string;
  readonly specHash: string;
}

/** The `label=value` that finds everything of one installation. */
export function ofInstallation(installation: string): string {
  return `${LABEL.installation}=${installation}`;
}

export const IS_ATTEMPT = `${LABEL.kind}=attempt`;

export function attemptLabels(installation: string, { ref, folder, specHash }: AttemptLabels): Record<string, string> {
  return {
    [LABEL.installation]: installation,
    [LABEL.kind]: "attempt",
    [LABEL.run]: ref.run,
    [LABEL.stepRun]: ref.stepRun,
    [LABEL.attempt]: String(ref.attempt),
    [LABEL.scope]: ref.scope,
    [LABEL.folder]: folder,
    [LABEL.spec]: specHash,
  };
}

export function networkLabels(installation: string, scope: string): Record<string, string> {
  return { [LABEL.installation]: installation, [LABEL.kind]: "network", [LABEL.scope]: scope };
}

export function checkLabels(installation: string): Record<string, string> {
  return { [LABEL.installation]: installation, [LABEL.kind]: "check" };
}

/** Null when the labels are not those of an attempt of Berth. */
export function readAttemptLabels(labels: Labels): AttemptLabels | null {
  const run = labels[LABEL.run];
  const stepRun = labels[LABEL.stepRun];
  const attempt = Number(labels[LABEL.attempt]);
  const scope = labels[LABEL.scope];
  const folder = labels[LABEL.folder];
  const specHash = labels[LABEL.spec];
  if (labels[LABEL.kind] !== "attempt" || !Number.isSafeInteger(attempt)) return null;
  if (run === undefined || stepRun === undefined || scope === undefined || folder === undefined) return null;
  if (specHash === undefined) return null;
  return { ref: { run, stepRun, attempt, scope }, folder, specHash };
}

export function isOwnNetwork(labels: Labels, installation: string, scope: string): boolean {
  const expected = networkLabels(installation, scope);
  return Object.entries(expected).every(([name, value]) => labels[name] === value);
}

export function toHandle(
  backend: string,
  name: string,
  { ref, folder }: Pick<AttemptLabels, "ref" | "folder">,
): Handle {
  return { backend, name, ref, folder };
}
