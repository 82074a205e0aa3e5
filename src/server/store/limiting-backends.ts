import type { WorkerCapabilities } from "../../protocol/agent-api.ts";

/**
 * The backends of a worker that can hold a step to cores and memory. A step that asks for them must not run without, so
 * its run is for no other. One that does not say what it can is taken to be able to: its worker knows better.
 */
export function limitingBackends(backends: WorkerCapabilities["backends"]): string[] {
  return Object.keys(backends).filter((name) => {
    const { limits } = (backends[name]!.capabilities ?? {}) as { limits?: { cpu?: unknown; memory?: unknown } };
    return limits?.cpu !== false && limits?.memory !== false;
  });
}

/** The same as an array in SQL, of a worker's capabilities. */
export function limitingBackendsOf(capabilities: string): string {
  const cannot = (limit: string) => `(value #> '{capabilities,limits}' @> '{"${limit}": false}') IS TRUE`;
  return `ARRAY(SELECT key FROM jsonb_each(${capabilities} -> 'backends')
    WHERE NOT ${cannot("cpu")} AND NOT ${cannot("memory")})`;
}
