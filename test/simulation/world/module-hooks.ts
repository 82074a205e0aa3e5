import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";

/** What the code under `src` gets in place of parts of Node that wait, or that differ from run to run. */
const REPLACED: Readonly<Record<string, string>> = {
  "node:child_process": "node-child-process.ts",
  "node:crypto": "node-crypto.ts",
  "node:fs": "node-fs.ts",
  "node:fs/promises": "node-fs-promises.ts",
  "node:os": "node-os.ts",
  "node:sqlite": "node-sqlite.ts",
  "node:timers/promises": "node-timers-promises.ts",
  "node:worker_threads": "node-worker-threads.ts",
  "node:zlib": "node-zlib.ts",
};
/** The way from the agent to the server is the simulated network. */
const AGENT_CLIENT = "/src/agent/agent-client.ts";

/** A file of `src` that is loaded with some of its text replaced. */
export interface EditedFile {
  readonly file: string;
  /** Each text is there once. */
  readonly edits: readonly (readonly [find: string, replace: string])[];
}

export function edit(text: string, { edits }: EditedFile): string {
  return edits.reduce((edited, [find, replace]) => edited.replace(find, () => replace), text);
}

/** Has to come before anything of `src` is loaded. */
export function replaceModules(root: string, edited: EditedFile | null = null): void {
  const source = pathToFileURL(`${root}/src/`).href;
  const replacement = (file: string) => ({ url: new URL(file, import.meta.url).href, shortCircuit: true });
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (context.parentURL?.startsWith(source) !== true) return nextResolve(specifier, context);
      const node = REPLACED[specifier];
      // What the real server waits for is real: the simulation stands still meanwhile.
      const isServers = context.parentURL.startsWith(`${source}server/`);
      if (node !== undefined && (!isServers || specifier === "node:crypto")) return replacement(node);
      const resolved = nextResolve(specifier, context);
      return resolved.url.endsWith(AGENT_CLIENT) ? replacement("agent-client.ts") : resolved;
    },
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (edited === null || url !== pathToFileURL(`${root}/${edited.file}`).href) return loaded;
      const text = Buffer.from(loaded.source as Uint8Array).toString();
      return { ...loaded, source: edit(text, edited) };
    },
  });
}
