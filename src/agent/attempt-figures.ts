import type { BackendSession, Handle, Stats } from "../backends/execution-backend.ts";
import type { UsageReport } from "../protocol/attempt-usage.ts";
import type { AttemptResult, AttemptWork } from "../runtime/attempt-work.ts";
import { NetworkShares } from "./network-shares.ts";
import type { SeenUsage, UsageSampler } from "./usage-sampler.ts";

export interface AttemptFiguresOptions {
  readonly session: BackendSession;
  readonly sampler: UsageSampler;
  readonly report: (report: UsageReport) => void;
}

/** What the attempts of one run use: seen while they run, and joined at the end with what their platform counted. */
export class AttemptFigures {
  readonly #options: AttemptFiguresOptions;
  readonly #shares = new NetworkShares();
  readonly #followed = new Map<string, { end(): SeenUsage }>();

  constructor(options: AttemptFiguresOptions) {
    this.#options = options;
  }

  /** Before it is let go; or with `isNew: false`, once one that another process let go is known. */
  begin({ name }: Handle, { spec }: AttemptWork, { isNew }: { readonly isNew: boolean }): void {
    if (spec.network !== "none") this.#shares.enter(name, { isNew });
  }

  /** It runs. */
  follow(handle: Handle): void {
    const { session, sampler, report } = this.#options;
    const { stepRun, attempt } = handle.ref;
    const isAlone = () => this.#shares.isAlone(handle.name);
    const onSeries = (series: UsageReport["series"]) => report({ stepRun, attempt, series });
    this.#followed.set(handle.name, sampler.follow({ session, handle, isAlone, onSeries }));
  }

  /** Its end was seen: the result, with what was seen meanwhile, and without the figures of a network that was shared. */
  end({ name }: Handle, result: AttemptResult): AttemptResult {
    const seen = this.#followed.get(name)?.end() ?? null;
    this.#followed.delete(name);
    const stats = joined(result.outcome.stats, seen, this.#shares.isAlone(name));
    return { ...result, outcome: { ...result.outcome, stats } };
  }

  /** Nothing of it runs any more. */
  leave({ name }: Handle): void {
    this.#shares.leave(name);
  }
}

/** What the platform counted at the end is exact; of one that left no count, what was seen last is all that is known. */
function joined(counted: Stats, seen: SeenUsage | null, isAlone: boolean): Stats {
  const { atMs: _at, memoryBytes: _memory, pids: _pids, ...last } = seen?.last ?? { atMs: 0 };
  const peak = seen?.pidsPeak == null ? {} : { pidsPeak: seen.pidsPeak };
  const { receivedBytes, sentBytes, ...own } = { ...last, ...counted, ...peak };
  if (!isAlone || receivedBytes === undefined || sentBytes === undefined) return own;
  return { ...own, receivedBytes, sentBytes };
}
