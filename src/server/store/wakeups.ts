/**
 * Wakes waiters across replicas by LISTEN/NOTIFY. A wake-up is only a hint: waiters always have a time-out and look
 * for themselves, so a lost notification costs a delay and never an event. `notify` is called after the commit, on its
 * own connection, and coalesced: NOTIFY inside a transaction would serialise all commits.
 */
export interface Wakeups extends AsyncDisposable {
  /** Such as `queue` (a run was queued or a slot freed), `run:<id>` (events or logs), `worker:<id>` (cancel, drain). */
  notify(topic: string): void;
  /** Resolves when the topic was notified after the call, the time passed, or the signal aborted; never rejects. */
  wait(topics: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<void>;
}
