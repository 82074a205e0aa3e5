-- Step runs that made what others may take -----------------------------------------------------------------------------

-- What a step run is compared with as well as what it may take; those that took theirs are not in it, however often a
-- pipeline is run again. Nothing in it changes for a step run without a cache, whose updates rewrite no index entry then.
CREATE INDEX step_runs_made ON step_runs (project_id, key, cache_key) WHERE cache IS NOT NULL AND taken_from_run IS NULL;
DROP INDEX step_runs_cache;
