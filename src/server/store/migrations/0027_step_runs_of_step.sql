-- The step runs of one step of a run, in the order of display: whether all of them have succeeded is asked at each look
-- for the latest version of an artifact, and the items of a version are read in this order.
CREATE INDEX step_runs_of_step ON step_runs (run_id, step, position, (COALESCE(item, -1)));
