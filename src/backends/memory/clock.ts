/** The time that scripts and kill timers go by; a simulation passes its own. */
export interface MemoryClock {
  now(): number;
  after(ms: number, act: () => void): void;
}

/** Real time. Timers keep no process alive. */
export const REAL_CLOCK: MemoryClock = {
  now: () => Date.now(),
  after: (ms, act) => {
    setTimeout(act, ms).unref();
  },
};
