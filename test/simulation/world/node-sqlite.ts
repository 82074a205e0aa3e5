/** Locks of homes: the simulation starts no two agents in one, and what it kills leaves no lock, as a kernel's. */
export class DatabaseSync {
  exec(_sql: string): void {}

  close(): void {}
}
