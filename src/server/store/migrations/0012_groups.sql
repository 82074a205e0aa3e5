-- Groups of runs of which only some may be at work at once ------------------------------------------------------------

-- The name with its parameters put in, and the places that this run lets the group have.
ALTER TABLE runs ADD COLUMN concurrency_group text;
ALTER TABLE runs ADD COLUMN concurrency_limit integer;
-- It waits for a place, and no claim sees it. Without it, a run of a group that has not ended holds a place.
ALTER TABLE runs ADD COLUMN held_back boolean NOT NULL DEFAULT false;
ALTER TABLE runs ADD CHECK (concurrency_limit IS NOT NULL AND concurrency_group IS NOT NULL OR NOT held_back);

DROP INDEX runs_queue;
CREATE INDEX runs_queue ON runs (project_id, pool, priority DESC, created_at, id)
  WHERE state = 'queued' AND NOT held_back;
CREATE INDEX runs_held_back ON runs (project_id, concurrency_group, priority DESC, created_at, id)
  WHERE state = 'queued' AND held_back;
CREATE INDEX runs_placed ON runs (project_id, concurrency_group)
  WHERE state IN ('queued', 'running', 'cancelling') AND NOT held_back AND concurrency_group IS NOT NULL;
DROP INDEX runs_queue_gpus;
CREATE INDEX runs_queue_gpus ON runs (project_id, pool, priority DESC, created_at, id)
  WHERE state = 'queued' AND NOT held_back AND needed_gpus > 0;
