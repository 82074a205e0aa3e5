-- Who took over what a step of a run made, the newest first, found without looking at the step runs of other runs.
CREATE INDEX step_runs_takers ON step_runs (taken_from_run, step, run_id) WHERE taken_from_run IS NOT NULL;
