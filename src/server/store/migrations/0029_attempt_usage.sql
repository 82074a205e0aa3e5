-- What attempts used over time ------------------------------------------------------------------------------------------

-- One row per attempt that was looked at while it ran, rewritten as it grows: its curve, thinned to a hundred points or so.
-- As what steps say, it may come before its attempt is known, and carries the epoch.
CREATE TABLE attempt_usage (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  epoch integer NOT NULL,
  -- Figure by figure, one value for each time: see UsageSeries.
  series jsonb NOT NULL,
  -- Of the last point, in milliseconds since the attempt began: what is sent twice, or late, is known by it.
  last_at_ms bigint NOT NULL,
  PRIMARY KEY (run_id, step_run, attempt, epoch)
) WITH (fillfactor = 70);
