import type { Logger } from "pino";
import type { KeyRing } from "./keys/key-ring.ts";
import type { Login } from "./login/login.ts";
import type { ObjectTiers } from "./objects/object-tiers.ts";
import type { Signer } from "./provenance/signer.ts";
import type { QuotaLedger } from "./scheduling/quota-ledger.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Database } from "./store/database.ts";
import type { Uploads } from "./store/uploads.ts";
import type { Wakeups } from "./store/wakeups.ts";

/** What every route and loop of the server works with. Nothing in it holds state that another replica would need. */
export interface Services {
  readonly database: Database;
  readonly blobs: BlobStore;
  /** The stores that `blobs` is made of. */
  readonly objects: ObjectTiers;
  /** Blobs that travel in several requests. */
  readonly uploads: Uploads;
  /** Knows what was let in a moment ago; the database has the rest. */
  readonly quotas: QuotaLedger;
  readonly wakeups: Wakeups;
  readonly log: Logger;
  /** What secrets are kept under. */
  readonly sealer: KeyRing;
  /** Null where this server was given no key for provenance. */
  readonly signer: Signer | null;
  /** Null where people do not log in here. */
  readonly login: Login | null;
  /** Id of this installation, in every object name and in signed messages. */
  readonly installation: string;
  /** Of Berth, as this process is. */
  readonly version: string;
}
