import type { Capabilities } from "../../backends/execution-backend.ts";
import type { Path } from "../../pipeline/problem.ts";
import { parseDuration, parseMemory } from "../../pipeline/quantity.ts";
import { isWithin, parseDestination } from "../../protocol/egress.ts";
import { type Fault, fault } from "../../protocol/faults.ts";
import type { Environment, StepPlan } from "../../protocol/plan.ts";
import { matchesGlob } from "../../std/glob.ts";
import type { Forbiddable } from "./policy-schema.ts";
import type { WorkerPolicy } from "./worker-policy.ts";

export interface PolicyRequest {
  readonly step: Pick<StepPlan, "name" | "network" | "isolation" | "resources">;
  readonly environment: Environment;
  readonly backend: string;
  readonly capabilities: Pick<Capabilities, "images">;
}

/** What a step asks for that the policy does not grant, and where that is written. */
interface Refusal {
  readonly why: string;
  readonly path: Path;
  readonly part?: "key" | "value";
}

/** Why this worker does not run a step, with the line of its policy that says so; null where it does. */
export function refuseStep(policy: WorkerPolicy, request: PolicyRequest): Fault | null {
  const [first] = refusals(policy, request);
  if (first === undefined) return null;
  const message = `This worker's policy refuses the step ${request.step.name}: ${first.why}.`;
  return fault("policy-refused", message, { evidence: policy.quote(first.path, first.part) });
}

function* refusals({ rules }: WorkerPolicy, request: PolicyRequest): Generator<Refusal> {
  const { step, backend } = request;
  if (rules.backends !== undefined && !rules.backends.includes(backend)) {
    yield { why: `it would run on the backend ${backend}`, path: ["backends"], part: "key" };
  }
  for (const [index, what] of (rules.forbid ?? []).entries()) {
    const why = ASKED[what](request);
    if (why !== null) yield { why, path: ["forbid", index] };
  }
  yield* egressRefusals(rules.egress, step.network);
  yield* imageRefusals(rules.images ?? {}, request);
  yield* limitRefusals(rules.limits ?? {}, step.resources);
  for (const name of step.isolation?.mounts ?? []) {
    if (Object.hasOwn(rules.mounts ?? {}, name)) continue;
    const why = `it asks for the mount ${name}, which is not among those that the policy offers`;
    yield { why, path: ["mounts"], part: "key" };
  }
}

/** Whether a step asks for what can be forbidden, in words. */
const ASKED: Readonly<Record<Forbiddable, (request: PolicyRequest) => string | null>> = {
  network: ({ step }) =>
    step.network === "none" ? null : "it has a network; isolation.network: none would do without",
  build: ({ environment }) => (environment.kind === "image" ? null : "its image is built on the worker"),
  gpus: ({ step }) => (step.resources.gpus === undefined ? null : "it asks for GPUs"),
  apparmor: ({ step }) => (step.isolation?.apparmor === undefined ? null : "it chooses an AppArmor profile"),
  selinux: ({ step }) => (step.isolation?.selinux === undefined ? null : "it chooses an SELinux type"),
  runtime: ({ step }) => (step.isolation?.runtime === undefined ? null : "it chooses a runtime"),
};

function* egressRefusals(offered: readonly string[] | undefined, network: StepPlan["network"]): Generator<Refusal> {
  if (offered === undefined || network === "none") return;
  if (network === "run") {
    const why = "its network reaches everything; isolation.network has to be none, or to allow what the policy does";
    yield { why, path: ["egress"], part: "key" };
    return;
  }
  const granted = offered.map((text) => parseDestination(text)!);
  for (const text of network.allow) {
    const wanted = parseDestination(text);
    if (wanted !== null && granted.some((one) => isWithin(wanted, one))) continue;
    yield { why: `it would connect to ${text}`, path: ["egress"], part: "key" };
  }
}

type ImageRules = NonNullable<WorkerPolicy["rules"]["images"]>;

function* imageRefusals({ allow, digest }: ImageRules, request: PolicyRequest): Generator<Refusal> {
  const { environment, backend, capabilities } = request;
  const decides: Path = allow === undefined ? ["images", "digest"] : ["images", "allow"];
  if (allow === undefined && digest !== "required") return;
  if (!capabilities.images) {
    yield { why: `the backend ${backend} runs it without an image`, path: decides, part: "key" };
    return;
  }
  if (environment.kind === "dockerfile") {
    yield { why: "its own Dockerfile may be built on any image", path: decides, part: "key" };
    return;
  }
  const image = environment.kind === "image" ? environment.image : environment.base;
  if (allow !== undefined && !allow.some((pattern) => matchesGlob(pattern, image))) {
    yield { why: `the image ${image} is not among those allowed`, path: ["images", "allow"], part: "key" };
  }
  if (digest === "required" && !/@sha256:[0-9a-f]{64}$/.test(image)) {
    yield { why: `the image ${image} is not named by its digest`, path: ["images", "digest"] };
  }
}

type Limits = NonNullable<WorkerPolicy["rules"]["limits"]>;

function* limitRefusals(limits: Limits, resources: StepPlan["resources"]): Generator<Refusal> {
  const { cpu, memoryBytes, diskBytes = null, timeoutMs } = resources;
  const asked = [
    ["cpu", cpu, limits.cpu, "cores"],
    ["memory", memoryBytes, limits.memory === undefined ? undefined : parseMemory(limits.memory), "bytes of memory"],
    ["disk", diskBytes, limits.disk === undefined ? undefined : parseMemory(limits.disk), "bytes of disk"],
    ["time", timeoutMs, limits.time === undefined ? undefined : parseDuration(limits.time), "milliseconds"],
  ] as const;
  for (const [key, wanted, most, unit] of asked) {
    if (wanted === null || most === undefined || wanted <= most) continue;
    yield { why: `it asks for ${wanted} ${unit}, and at most ${most} are allowed`, path: ["limits", key] };
  }
}
