import { z } from "zod";

/** Why an attempt did not succeed, in the classes that decide what happens next. */
export const FaultClass = z.enum([
  "application",
  "business",
  "oom",
  "timeout",
  "output",
  "configuration",
  "infrastructure",
  "cancelled",
]);
export type FaultClass = z.infer<typeof FaultClass>;

/**
 * Who has to act: the code of the step, the data that it was given, the pipeline file, the platform with its workers, or
 * whoever asked for the run to stop.
 */
export const Blame = z.enum(["step", "data", "pipeline", "platform", "request"]);
export type Blame = z.infer<typeof Blame>;

const BLAME: Readonly<Record<FaultClass, Blame>> = {
  application: "step",
  business: "data",
  oom: "step",
  timeout: "step",
  output: "step",
  configuration: "pipeline",
  infrastructure: "platform",
  cancelled: "request",
};

interface FaultDefinition {
  readonly class: FaultClass;
  /** Where it is not that of the class. */
  readonly blame?: Blame;
  /** What the user can do about it: one sentence, shown under the message. */
  readonly advice: string;
}

/** The catalogue of fault codes. A code is stable: scripts and retry policies name it. */
export const FAULTS = {
  "exit-nonzero": { class: "application", advice: "Read the end of the step's log." },
  "killed-by-signal": {
    class: "application",
    advice: "Read the end of the step's log; the process was killed from inside.",
  },
  business: { class: "business", advice: "The step reported bad data or a broken rule; change its input." },
  oom: { class: "oom", advice: "Raise resources.memory or retry.maxMemory of the step, or make it use less." },
  "deadline-run": { class: "timeout", advice: "Raise resources.timeout of the step, or find out what it waits for." },
  "deadline-image": {
    class: "timeout",
    blame: "platform",
    advice: "Raise resources.imageTimeout of the step, or find out why its image takes so long.",
  },
  "deadline-queue": {
    class: "timeout",
    blame: "platform",
    advice: "Raise queueTimeout, or give the pool more workers or slots.",
  },
  "deadline-total": {
    class: "timeout",
    advice: "Raise timeout of the pipeline, or find out which step takes so long.",
  },
  "disk-full": {
    class: "application",
    blame: "platform",
    advice: "Free space on the worker, or write less. What lies in /tmp is memory: see resources.memory.",
  },
  "disk-exceeded": { class: "application", advice: "Write less, or raise resources.disk of the step." },
  "output-missing": { class: "output", advice: "Write every declared output under $BERTH_OUT, or mark it optional." },
  "output-too-large": { class: "output", advice: "Write less, or raise the worker's limit for outputs." },
  "output-unsafe": {
    class: "output",
    advice: "Write plain files and folders; links that leave the output are refused.",
  },
  "quota-exceeded": {
    class: "output",
    blame: "platform",
    advice: "Remove what is not needed, or have the quota of the project raised: berth store usage, berth store quota.",
  },
  "input-invalid": { class: "configuration", advice: "Check that the input has the format that the step declares." },
  "secret-missing": {
    class: "configuration",
    advice: "Set the secret, or let the pipeline have it: berth secret set, berth secret allow.",
  },
  "spec-unsupported": { class: "configuration", advice: "Choose a backend that can do this, or drop the request." },
  "policy-refused": {
    class: "configuration",
    advice: "Ask for less, or run it on a worker whose policy allows it: worker.pool and worker.labels choose one.",
  },
  "spec-invalid": { class: "configuration", advice: "Correct the pipeline file." },
  "spec-conflict": { class: "infrastructure", advice: "Another object has this attempt's name; it was left alone." },
  "bad-entrypoint": { class: "configuration", advice: "Check that the command exists in the image and is executable." },
  "image-not-found": { class: "configuration", advice: "Check the image's name and tag." },
  "image-denied": {
    class: "configuration",
    advice: "Check the image's name, or keep a login for its registry: berth registry set HOST --username NAME.",
  },
  "image-blocked": {
    class: "configuration",
    advice: "Take a version of the image, or of what it is built from, that has the fixes; or ask the worker's owner.",
  },
  "image-unscanned": {
    class: "configuration",
    advice: "Have the worker's owner see to its scanner, or run on another worker: worker.pool, worker.labels.",
  },
  "image-arch": { class: "configuration", advice: "Use an image for the worker's architecture." },
  "image-build-failed": { class: "configuration", advice: "Read the build's output; the failing line is quoted." },
  "source-missing": { class: "configuration", advice: "Submit the run together with its source folder." },
  permission: { class: "configuration", advice: "Check the permissions of what the command touches." },
  unschedulable: { class: "infrastructure", advice: "No worker can take this; see why with `berth run show`." },
  "image-pull-transient": {
    class: "infrastructure",
    advice: "Check the image's name, and the worker's connection to its registry.",
  },
  "node-lost": { class: "infrastructure", advice: "The worker went away; the step is started again elsewhere." },
  "daemon-lost": { class: "infrastructure", advice: "Check the container engine on the worker." },
  "stage-io": { class: "infrastructure", advice: "Check the worker's disk and its connection to the server." },
  "deleted-externally": {
    class: "infrastructure",
    advice: "Something other than Berth removed the container or process.",
  },
  vanished: { class: "infrastructure", advice: "The container or process is gone and left no record of how it ended." },
  "backend-unavailable": { class: "infrastructure", advice: "Check that the backend runs on the worker." },
  "agent-error": { class: "infrastructure", advice: "Read the agent's log; this is a defect or a broken host." },
  cancelled: { class: "cancelled", advice: "Start the run again when you want it." },
  condition: { class: "cancelled", blame: "pipeline", advice: "Nothing has to be done: the pipeline file says so." },
  "condition-invalid": {
    class: "configuration",
    advice: "Correct the step's when; has() tells whether a value is there.",
  },
  "sibling-failed": { class: "cancelled", blame: "step", advice: "Mend the step that failed first." },
  "upstream-failed": { class: "cancelled", blame: "step", advice: "Mend the step that failed first." },
} as const satisfies Record<string, FaultDefinition>;

export type FaultCode = keyof typeof FAULTS;
export const FaultCode = z.enum(Object.keys(FAULTS) as [FaultCode, ...FaultCode[]]);

export const Fault = z.object({
  code: FaultCode,
  class: FaultClass,
  blame: Blame,
  /** What happened, in one or two sentences. */
  message: z.string().max(4000),
  /** The platform's own words. */
  evidence: z.string().max(8000).optional(),
  advice: z.string(),
});
export type Fault = z.infer<typeof Fault>;

/** Cutting may leave half of a character, which no text of a database can hold. */
export const MESSAGE_MAX_CHARS = 4000;
export const EVIDENCE_MAX_CHARS = 8000;

/** The same fault, found in a part of what failed: `name` goes in front of its message. */
export function namedFault(name: string, why: Fault): Fault {
  return { ...why, message: `${name}: ${why.message}`.slice(0, MESSAGE_MAX_CHARS).toWellFormed() };
}

/** Makes a fault of the catalogue; `advice` replaces the catalogue's sentence where a better one is known. */
export function fault(code: FaultCode, message: string, more: { evidence?: string; advice?: string } = {}): Fault {
  const definition: FaultDefinition = FAULTS[code];
  return {
    code,
    class: definition.class,
    blame: definition.blame ?? BLAME[definition.class],
    message: message.slice(0, MESSAGE_MAX_CHARS).toWellFormed(),
    advice: more.advice ?? definition.advice,
    ...(more.evidence === undefined ? {} : { evidence: more.evidence.slice(-EVIDENCE_MAX_CHARS).toWellFormed() }),
  };
}
