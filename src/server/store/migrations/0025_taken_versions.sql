-- Found by what they are asked for ---------------------------------------------------------------------------------------

-- Whether a run took over what one step run made: of a batch, without looking at all its other items.
CREATE INDEX step_runs_taken_key ON step_runs (taken_from_run, key) WHERE taken_from_run IS NOT NULL;
