import { z } from "zod";

const Figure = z.number().nonnegative().optional();

/**
 * What an attempt used, from its start to its end. What its platform cannot tell is left out; no figure is ever that of
 * somebody else.
 */
export const Usage = z.object({
  /** CPU time of all its processes, and the parts of it that they spent in their own code and in the kernel. */
  cpuMs: Figure,
  cpuUserMs: Figure,
  cpuSystemMs: Figure,
  /** Most memory that counted against its limit at once: in a container, also what it had of files in the page cache. */
  memoryPeakBytes: Figure,
  /** What it read from disks, and what it wrote that had to reach them; what the page cache answered is not in it. */
  readBytes: Figure,
  writtenBytes: Figure,
  /** By network; only where nobody shared its network meanwhile. */
  receivedBytes: Figure,
  sentBytes: Figure,
  /** Most processes and threads that were seen at once, looking each second or less often. */
  pidsPeak: Figure,
});
export type Usage = z.infer<typeof Usage>;
