import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";

/**
 * Images of the steps that a build of the classic builder made. The builder keeps them for its cache; of one that
 * failed, the last would stay as an image without a name that nobody removes.
 */
export class BuildLeftovers {
  readonly #startedAtMs = Date.now();
  readonly #made: string[] = [];
  #isCached = false;
  #isBase = false;

  /** Reads along with the builder's output. */
  read(line: string): void {
    const step = /^Step \d+\/\d+ : (\S+)/.exec(line);
    if (step !== null) {
      this.#isBase = step[1]!.toUpperCase() === "FROM";
      this.#isCached = false;
    }
    if (line === " ---> Using cache") this.#isCached = true;
    const id = /^ ---> ([0-9a-f]{12})$/.exec(line)?.[1];
    if (id !== undefined && !this.#isBase && !this.#isCached) this.#made.push(id);
  }

  /** Removes what this build made, the newest first, unless another build goes on from it. */
  async remove(engine: Engine): Promise<void> {
    for (const id of this.#made.reverse()) {
      try {
        const { RepoTags, Created } = await engine.inspectImage(id);
        // A step can print such lines too: what has a name, or is older than the build, is not this build's.
        if ((RepoTags ?? []).length > 0 || Date.parse(Created) < this.#startedAtMs) continue;
        await engine.removeImage(id);
      } catch (error) {
        // Gone already, or the base of something else by now.
        if (!isStatus(error, 404, 409)) throw error;
      }
    }
  }
}
