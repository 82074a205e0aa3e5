-- Who asks for runs -------------------------------------------------------------------------------------------------

-- Until when the poll of a worker is held open, how many runs it holds by its own account, and how many more it would
-- take. A worker that is a better place for a run, and asks too, is left that run for a moment. Written with each poll and
-- good for seconds: unlogged, so that no poll waits for the disk; and without a foreign key, which would lock the worker.
CREATE UNLOGGED TABLE worker_polls (
  worker_id text PRIMARY KEY,
  open_until timestamptz,
  held integer NOT NULL,
  free integer NOT NULL
) WITH (fillfactor = 50);

-- The newest runs of a pipeline that workers had, however many of it are queued since: whose worker is warm.
CREATE INDEX runs_had_worker ON runs (pipeline_id, number) WHERE worker_id IS NOT NULL;
