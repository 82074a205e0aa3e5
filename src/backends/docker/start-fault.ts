import { type Fault, fault } from "../../protocol/faults.ts";

/** What the runtime's words at a failing start mean, where it is the attempt that cannot run, not the engine. */
export function startFault(words: string, image: string | null): Fault | null {
  const evidence = { evidence: words };
  if (/exec format error/i.test(words)) {
    return fault("image-arch", "The container could not start: it is made for another architecture.", evidence);
  }
  if (/chdir to cwd|cannot mkdir|mkdir .*: (not a directory|file exists)/i.test(words)) {
    return fault("spec-invalid", `The working folder cannot be used in the image ${image}.`, evidence);
  }
  if (/mount.*not a directory|not a directory.*mount|trying to mount a directory onto a file/i.test(words)) {
    return fault("spec-invalid", `A folder cannot be mounted where the image ${image} has a file.`, evidence);
  }
  if (/could not select device driver|unknown or invalid runtime|nvidia-container-cli/i.test(words)) {
    return fault("spec-unsupported", "The engine cannot give the container its GPUs.", {
      ...evidence,
      advice:
        "Install NVIDIA's container toolkit on the worker, or set backends.docker.gpus of the agent to variables.",
    });
  }
  if (/limits of transfers are not kept/i.test(words)) {
    return fault("spec-unsupported", "The engine's kernel cannot hold the step back from disks.", evidence);
  }
  return null;
}

/** Whether the start failed because the namespace that it was to join is gone. */
export function isNetworkGone(words: string): boolean {
  return /cannot join network|no such container|joining network namespace|network namespace path/i.test(words);
}
