import type { BackendSession, Handle } from "../execution-backend.ts";

/** What the contract suite needs to know of a backend in order to test it. */
export interface BackendHarness {
  /** A new session each time, always on the same installation and state folder: as two agent processes would. */
  open(): Promise<BackendSession>;
  readonly backendName: string;
  readonly installation: string;
  /** Image of the steps, prepared by the suite through `prepareImage`; it holds `sh`. Null without images. */
  image(): Promise<string | null>;
  /** A fresh attempt folder with `in`, `out`, `tmp` and `ctl`, as the runtime makes it. */
  makeFolder(): Promise<string>;
  removeFolder(folder: string): Promise<void>;
  /** Null where steps are real programs, run by `sh`; a fake gives the command line that it reads a program from. */
  readonly fakeCommand: ((program: unknown) => readonly [string, ...string[]]) | null;
  /** Destroys the attempt's object behind Berth's back, running or not, leaving what is outside of it. */
  destroyObject(handle: Handle): Promise<void>;
  /** A session whose platform does not answer; null says that there is no such thing. */
  unreachable(): Promise<BackendSession | null>;
  /** How another process gets at the same platform; null where the platform lives in this process. */
  readonly elsewhere: SessionSource | null;
  /** How often the cases do what they repeat: a slow platform does it less often. */
  readonly effort: { readonly instantExits: number; readonly races: number };
  close(): Promise<void>;
}

export interface SessionSource {
  /** URL of a module, and the name of its export that opens a session from `argument`, which is plain JSON. */
  readonly module: string;
  readonly export: string;
  readonly argument: unknown;
}
