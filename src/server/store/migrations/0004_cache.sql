-- Steps whose result is known already -------------------------------------------------------------------------------

-- The key of a step run and what it is made of, {"key": …, "components": {…}}; kept to say what changed since.
ALTER TABLE step_runs ADD COLUMN cache jsonb;
-- The same key, as long as what the step run made may be taken by others.
ALTER TABLE step_runs ADD COLUMN cache_key text;
CREATE INDEX step_runs_cache ON step_runs (project_id, key, cache_key) WHERE cache_key IS NOT NULL;

ALTER TABLE runs ADD COLUMN no_cache boolean NOT NULL DEFAULT false;
