import { z } from "zod";

/** What a run was started by. */
export const StartedBy = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("person"), name: z.string() }),
  z.object({
    kind: z.literal("schedule"),
    /** `wine/nightly` */
    name: z.string(),
    /** Null where somebody did not wait for it. */
    dueAt: z.iso.datetime().nullable(),
    by: z.string().nullable(),
  }),
  /** `delivery` is the id of the message. */
  z.object({ kind: z.literal("trigger"), name: z.string(), delivery: z.string() }),
]);
export type StartedBy = z.infer<typeof StartedBy>;
