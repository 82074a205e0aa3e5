-- Runs at set times --------------------------------------------------------------------------------------------------

CREATE TABLE schedules (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  pipeline_id text NOT NULL REFERENCES pipelines,
  name text NOT NULL,
  -- What its runs are of.
  pipeline_version integer NOT NULL,
  source_digest text,
  source_size bigint,
  cron text NOT NULL,
  timezone text NOT NULL,
  overlap text NOT NULL CHECK (overlap IN ('skip', 'queue', 'cancel_older', 'allow')),
  catch_up text NOT NULL CHECK (catch_up IN ('none', 'last', 'all')),
  params json NOT NULL,
  enabled boolean NOT NULL,
  -- NULL while it is paused or not enabled.
  next_at timestamptz,
  paused_at timestamptz,
  paused_by text,
  pause_reason text,
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (pipeline_id, name),
  FOREIGN KEY (pipeline_id, pipeline_version) REFERENCES pipeline_versions (pipeline_id, version)
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedules_of_project ON schedules (project_id);

-- Each due time once, whatever became of it.
CREATE TABLE schedule_firings (
  schedule_id text NOT NULL REFERENCES schedules ON DELETE CASCADE,
  due_at timestamptz NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  -- Set where the row stands for all due times from due_at on.
  until_at timestamptz,
  state text NOT NULL CHECK (state IN ('waiting', 'started', 'skipped')),
  reason text,
  message text,
  -- Who did not wait for the time.
  by text,
  run_id text REFERENCES runs ON DELETE SET NULL,
  PRIMARY KEY (schedule_id, due_at)
);
CREATE INDEX schedule_firings_waiting ON schedule_firings (schedule_id, due_at) WHERE state = 'waiting';
CREATE INDEX schedule_firings_run ON schedule_firings (run_id) WHERE run_id IS NOT NULL;

-- See protocol/started-by.ts. NULL: the person in created_by.
ALTER TABLE runs ADD COLUMN started_by jsonb;
-- Without a reference: a run outlives its schedule.
ALTER TABLE runs ADD COLUMN schedule_id text;
CREATE INDEX runs_of_schedule ON runs (schedule_id)
  WHERE schedule_id IS NOT NULL AND state IN ('queued', 'running', 'cancelling');
