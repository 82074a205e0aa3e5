import { EXHAUSTION_PROBES } from "./exhaustion-probes.ts";
import { HOST_PROBES } from "./host-probes.ts";
import { KERNEL_PROBES } from "./kernel-probes.ts";
import type { Probe } from "./probe.ts";

export const PROBES: readonly Probe[] = [...KERNEL_PROBES, ...HOST_PROBES, ...EXHAUSTION_PROBES];
