import type { Fault } from "../protocol/faults.ts";
import type { PullPolicy } from "../protocol/plan.ts";

/** How to log in to an image registry. */
export interface RegistryLogin {
  /** `ghcr.io`, `localhost:5000`; Docker Hub is `docker.io`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

interface WithLogins {
  /** Asked when something has to be pulled: logins that go before what the platform knows by itself. */
  readonly logins?: (signal: AbortSignal) => Promise<readonly RegistryLogin[]>;
}

export interface ReadyImage extends WithLogins {
  readonly kind: "ready";
  readonly image: string;
  /** Default: `missing`. */
  readonly pull?: PullPolicy;
}

export interface BuiltImage extends WithLogins {
  readonly kind: "build";
  /** Deterministic tag from the hash of everything that goes in: present means up to date. */
  readonly tag: string;
  /** Host folder with the build context. */
  readonly context: string;
  /** Text of the Dockerfile. */
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  /** The stage of the Dockerfile that is the image; left out for the last. */
  readonly target?: string;
  /** About the images that it starts from. Default: `missing`. With `always` it is built although the tag is there. */
  readonly pull?: PullPolicy;
  /** What it starts from, where that is one image that is known; needed for `never`. */
  readonly base?: string;
  /** Read while a RUN mounts them, and never kept; a builder that cannot refuses. What `read` throws fails the build. */
  readonly secrets?: BuildSecrets;
}

export interface BuildSecrets {
  readonly ids: readonly string[];
  read(id: string): Promise<Uint8Array>;
}

/** What a session is asked to make ready: an image that is somewhere, or one that it builds. */
export type ImageRequest = ReadyImage | BuiltImage;

export type ImageResult =
  | {
      readonly ok: true;
      readonly image: string;
      readonly digest: string | null;
      /** `repository@digest` in the registry that it was asked of; left out for what only this platform has. */
      readonly reference?: string;
      readonly cached: boolean;
    }
  | { readonly ok: false; readonly fault: Fault };
