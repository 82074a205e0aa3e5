import { z } from "zod";

/** What an attempt takes of its worker while it runs, and no other gets meanwhile. */
export interface Reservation {
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Ids of GPUs. */
  readonly gpus: readonly string[];
}

/** The label by which an agent that was started again finds what is taken. */
const LABEL = "berth.reserved";

const Labelled = z.object({ cpus: z.number(), memoryBytes: z.number(), gpus: z.array(z.string()) });

export function reservationLabel(reserved: Reservation): Record<string, string> {
  return { [LABEL]: JSON.stringify(reserved) };
}

/** Null for an object that says nothing of it, such as one of an older agent. */
export function readReservation(labels: Readonly<Record<string, string>>): Reservation | null {
  try {
    return Labelled.parse(JSON.parse(labels[LABEL] ?? "null"));
  } catch {
    return null;
  }
}
