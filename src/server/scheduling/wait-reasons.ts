import type { Run, WaitReason } from "../../protocol/resources.ts";
import type { Candidate } from "../store/candidates.ts";

/** What a run asks of its worker. */
export type Wanted = Pick<Run, "pool" | "backend" | "needs"> & { readonly labels: readonly string[] };

/**
 * The parts of the claim's predicate (store/queue.ts) that fail for this worker, in words. `impossible` are those that
 * no waiting mends. A full disk is emptied and a worker that is away is started again, so these are only busy. One that
 * was never started has told what its machine has, but not yet which backends: it may have the one that is wanted.
 */
export function reasonsAgainst(run: Wanted, worker: Candidate): WaitReason[] {
  const impossible = [...identityReasons(run, worker), ...sizeReasons(run, worker)];
  const passing = worker.booted ? busyReasons(run, worker) : [["offline", "has not been started yet"] as const];
  return [
    ...impossible.map(([code, message]): WaitReason => ({ code, kind: "impossible", message })),
    ...passing
      // Said once: what it never has is not missing just now.
      .filter(([code]) => !impossible.some(([known]) => known === code))
      .map(([code, message]): WaitReason => ({ code, kind: "busy", message })),
  ];
}

type Reason = readonly [code: WaitReason["code"], message: string];

function identityReasons({ pool, labels, backend, needs }: Wanted, worker: Candidate): Reason[] {
  const reasons: Reason[] = [];
  if (worker.pool !== pool) reasons.push(["pool", `is in pool ${worker.pool}, not ${pool}`]);
  const lacking = labels.filter((label) => !worker.labels.includes(label));
  if (lacking.length > 0)
    reasons.push(["label", `lacks ${lacking.length === 1 ? "label" : "labels"} ${lacking.join(", ")}`]);
  const problem = worker.booted ? backendProblem(backend, needs, worker) : null;
  if (problem !== null) reasons.push(["backend", problem]);
  return reasons;
}

function backendProblem(backend: string | null, { cpus, memoryBytes }: Wanted["needs"], worker: Candidate) {
  const fitting = cpus > 0 || memoryBytes > 0 ? worker.limiting : worker.backends;
  if (backend === null) {
    if (worker.backends.length === 0) return "has no working backend";
    return fitting.length === 0 ? "has no backend that can limit cpu or memory, which a step asks for" : null;
  }
  if (!worker.backends.includes(backend)) return `has no backend ${backend}`;
  if (fitting.includes(backend)) return null;
  return `has a backend ${backend} that cannot limit cpu or memory, which a step asks for`;
}

function sizeReasons({ needs }: Wanted, worker: Candidate): Reason[] {
  const reasons: Reason[] = [];
  if (needs.cpus > worker.cpus) reasons.push(["cpu", `has ${cores(worker.cpus)}, and ${areNeeded(needs.cpus)}`]);
  if (needs.memoryBytes > worker.memoryBytes) {
    const [has, wants] = sizes(worker.memoryBytes, needs.memoryBytes);
    reasons.push(["memory", `has ${has} of memory, and ${wants} are needed`]);
  }
  if (needs.gpus > worker.gpus) reasons.push(["gpu", `has ${gpus(worker.gpus)}, and ${areNeeded(needs.gpus)}`]);
  const { diskTotalBytes, diskNeededBytes } = worker;
  if (needs.diskBytes > 0 && diskTotalBytes !== null && needs.diskBytes > diskTotalBytes - diskNeededBytes) {
    const [total, wants] = sizes(diskTotalBytes, needs.diskBytes);
    reasons.push(["disk", `has a disk of ${total}, and ${wants} are needed${reserve(worker)}`]);
  }
  return reasons;
}

function busyReasons({ needs }: Wanted, worker: Candidate): Reason[] {
  const reasons: Reason[] = [];
  if (!worker.online) reasons.push(["offline", "was not heard of for a while"]);
  if (worker.draining) reasons.push(["draining", "takes no further runs"]);
  if (worker.diskFreeBytes < worker.diskNeededBytes) {
    const [free, needed] = sizes(worker.diskFreeBytes, worker.diskNeededBytes);
    reasons.push(["disk", `has ${free} of disk free, and takes no runs below ${needed}`]);
  } else if (needs.diskBytes > worker.diskFreeBytes - worker.diskNeededBytes) {
    const [free, wants] = sizes(worker.diskFreeBytes, needs.diskBytes);
    reasons.push(["disk", `has ${free} of disk free, and ${wants} are needed${reserve(worker)}`]);
  }
  const gpusFree = Math.max(0, worker.gpus - worker.gpusHeld);
  if (needs.gpus > gpusFree)
    reasons.push(["gpu", `has ${gpusFree} of ${gpus(worker.gpus)} free, and ${areNeeded(needs.gpus)}`]);
  if (worker.held >= worker.slots) reasons.push(["busy", `holds ${worker.held} of ${worker.slots} runs`]);
  return reasons;
}

function reserve({ diskNeededBytes }: Candidate): string {
  return diskNeededBytes === 0 ? "" : ` beside the ${sizes(diskNeededBytes)[0]} that stay free`;
}

function areNeeded(count: number): string {
  return `${count} ${count === 1 ? "is" : "are"} needed`;
}

function cores(count: number): string {
  return `${count} ${count === 1 ? "core" : "cores"}`;
}

function gpus(count: number): string {
  return count === 0 ? "no GPU" : `${count} ${count === 1 ? "GPU" : "GPUs"}`;
}

/** With as many digits as it takes to tell them apart. */
function sizes(...bytes: readonly number[]): string[] {
  for (let digits = 1; ; digits++) {
    const texts = bytes.map((size) => `${(size / 1024 ** 3).toFixed(digits)} GiB`);
    if (digits === 9 || new Set(texts).size === new Set(bytes).size) return texts;
  }
}
