-- Time limits --------------------------------------------------------------------------------------------------------

-- Of the run as a whole, and of its wait for a worker: copied from the pipeline when it is submitted.
ALTER TABLE runs ADD COLUMN timeout_ms bigint;
ALTER TABLE runs ADD COLUMN queue_timeout_ms bigint;
-- Why it is being stopped; see protocol/cancel.ts.
ALTER TABLE runs ADD COLUMN cancel_code text;
CREATE INDEX runs_limited ON runs (state) WHERE state IN ('queued', 'running', 'cancelling')
  AND (timeout_ms IS NOT NULL OR queue_timeout_ms IS NOT NULL OR cancel_requested_at IS NOT NULL);

-- How long user code of an attempt may run, as its agent understood it.
ALTER TABLE attempts ADD COLUMN timeout_ms bigint;
CREATE INDEX attempts_limited ON attempts (started_at) WHERE state = 'running' AND timeout_ms IS NOT NULL;
