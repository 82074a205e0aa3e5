import { accessSync, constants } from "node:fs";
import { type TreeSize, treeSize } from "../../std/tree-size.ts";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";

/** The engine walks through the layer itself then, and does nothing else for the container meanwhile. */
const ENGINE_INTERVAL_MS = 15_000;

type Place =
  /** The folder that the container's changes are written to, such as overlayfs's upper one. */
  | { readonly kind: "folder"; readonly path: string }
  /** Out of reach of an agent that is not root: the engine is asked. */
  | { readonly kind: "engine"; askedAtMs: number; last: TreeSize };

/** How much the writable layers of containers hold. */
export class LayerSizes {
  readonly #engine: () => Promise<Engine>;
  readonly #places = new Map<string, Place>();

  constructor(engine: () => Promise<Engine>) {
    this.#engine = engine;
  }

  /** At least `most` where it is more; null for a container that is gone. */
  async measure(name: string, most: TreeSize): Promise<TreeSize | null> {
    const place = this.#places.get(name) ?? (await this.#find(name));
    if (place === null) return null;
    return place.kind === "folder" ? treeSize(place.path, most) : this.#ask(name, place);
  }

  forget(name: string): void {
    this.#places.delete(name);
  }

  async #find(name: string): Promise<Place | null> {
    const container = await (await this.#engine()).inspectContainer(name).catch(ignoreMissing);
    if (container === undefined) return null;
    const path = container.GraphDriver?.Data?.UpperDir;
    const place: Place =
      path !== undefined && isReadable(path)
        ? { kind: "folder", path }
        : { kind: "engine", askedAtMs: Number.NEGATIVE_INFINITY, last: { bytes: 0, entries: 0 } };
    this.#places.set(name, place);
    return place;
  }

  async #ask(name: string, place: Extract<Place, { kind: "engine" }>): Promise<TreeSize> {
    if (performance.now() - place.askedAtMs < ENGINE_INTERVAL_MS) return place.last;
    place.askedAtMs = performance.now();
    const container = await (await this.#engine()).inspectContainer(name, { size: true }).catch(ignoreMissing);
    // The engine counts no files.
    place.last = { bytes: container?.SizeRw ?? 0, entries: 0 };
    return place.last;
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (isStatus(error, 404)) return undefined;
  throw error;
}
