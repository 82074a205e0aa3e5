import type { HeartbeatRequest } from "../protocol/agent-api.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import type { TlsTrust } from "../std/tls-trust.ts";

/** What the heartbeat's thread is started with. */
export interface HeartbeatThreadData {
  readonly server: string;
  readonly workerId: string;
  readonly bootId: string;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  readonly trust?: TlsTrust | undefined;
  readonly intervalMs: number;
  /** One Int32 that the main thread counts up while it is alive. */
  readonly alive: SharedArrayBuffer;
  readonly held: HeartbeatRequest["held"];
}

/** Main thread → heartbeat's thread: what the next heartbeats say. */
export type HeartbeatOrder =
  | { readonly type: "held"; readonly held: HeartbeatRequest["held"] }
  | { readonly type: "capabilities"; readonly capabilities: NonNullable<HeartbeatRequest["capabilities"]> };

/** Heartbeat's thread → main thread. */
export type HeartbeatReport =
  | { readonly type: "answer"; readonly body: unknown }
  | { readonly type: "failure"; readonly code: ErrorCode; readonly message: string; readonly advice?: string };
