import type { StepPlan } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import type { StepSpec } from "./schema.ts";

/** Runtimes whose containers use the kernel's network, which is what a run's network is fenced by. */
const KERNEL_RUNTIMES: readonly string[] = ["runc", "crun"];

/** What the step says, and what the pipeline says of all steps where it says nothing. */
export function compileIsolation(
  name: string,
  spec: StepSpec,
  { file, problems }: Compilation,
): Pick<StepPlan, "network" | "isolation"> {
  const asked = { ...file.isolation, ...spec.isolation };
  const network = asked.network === "default" ? "run" : (asked.network ?? "run");
  const { runtime, apparmor, selinux, mounts = [] } = asked;
  if (runtime !== undefined && !KERNEL_RUNTIMES.includes(runtime) && network !== "none") {
    const path = spec.isolation?.runtime === undefined ? ["isolation"] : ["steps", name, "isolation"];
    const message =
      `the runtime ${runtime} may have a network of its own, which nothing keeps apart from other runs: ` +
      'add "network: none"';
    problems.add([...path, "runtime"], message);
  }
  const isolation = {
    ...(asked.read_only_root === true ? { readOnlyRoot: true as const } : {}),
    ...(apparmor === undefined ? {} : { apparmor }),
    ...(selinux === undefined ? {} : { selinux }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(mounts.length === 0 ? {} : { mounts }),
  };
  return { network, ...(Object.keys(isolation).length === 0 ? {} : { isolation }) };
}
