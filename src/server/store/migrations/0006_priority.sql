-- What is taken first ------------------------------------------------------------------------------------------------

-- Of the pipeline, unless the submission says otherwise.
ALTER TABLE runs ADD COLUMN priority smallint NOT NULL DEFAULT 0;
DROP INDEX runs_queue;
CREATE INDEX runs_queue ON runs (project_id, pool, priority DESC, created_at, id) WHERE state = 'queued';
