-- What running steps say ------------------------------------------------------------------------------------------------

-- Rows may come before their attempt is known, as logs do: so they refer to the run alone, and carry the epoch, since an
-- attempt that is begun again by another worker under the same number says everything anew.

-- Order in which they changed, for those who watch a run. It is no count: holes and repetitions mean nothing.
CREATE SEQUENCE message_revision;

-- The newest progress of each attempt: one row that is rewritten in place, however often a step reports.
CREATE TABLE attempt_progress (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  epoch integer NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  -- Of its line in the step's file: an agent that was started again reads that from its beginning.
  position bigint NOT NULL,
  done double precision,
  total double precision,
  message text,
  at timestamptz NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (run_id, step_run, attempt, epoch)
) WITH (fillfactor = 70);

CREATE TABLE metric_points (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  epoch integer NOT NULL,
  -- Counts the metrics of an attempt: what is sent twice is known by it.
  n integer NOT NULL,
  name text NOT NULL,
  value double precision NOT NULL,
  step double precision,
  at timestamptz NOT NULL,
  PRIMARY KEY (run_id, step_run, attempt, epoch, n)
);

-- What is shown of a metric without reading its points; written with them.
CREATE TABLE metric_summaries (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  epoch integer NOT NULL,
  name text NOT NULL,
  count integer NOT NULL,
  min double precision NOT NULL,
  max double precision NOT NULL,
  -- The newest point.
  n integer NOT NULL,
  value double precision NOT NULL,
  step double precision,
  at timestamptz NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (run_id, step_run, attempt, epoch, name)
) WITH (fillfactor = 70);
