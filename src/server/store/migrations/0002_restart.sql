-- Runs that go on from what another one achieved -------------------------------------------------------------------

-- The run that this one was made from.
ALTER TABLE runs ADD COLUMN restart_of text REFERENCES runs;

-- The run whose attempt made what this step run has. Never a chain: a restart of a restart names the first maker, so
-- that outputs and lineage are found in one step.
ALTER TABLE step_runs ADD COLUMN taken_from_run text REFERENCES runs;
CREATE INDEX step_runs_taken ON step_runs (run_id, taken_from_run) WHERE taken_from_run IS NOT NULL;
