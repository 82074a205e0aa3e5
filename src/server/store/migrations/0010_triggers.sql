-- Runs that signed webhooks start --------------------------------------------------------------------------------------

CREATE TABLE triggers (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  name text NOT NULL,
  pipeline_id text NOT NULL REFERENCES pipelines,
  -- What its runs are of.
  pipeline_version integer NOT NULL,
  source_digest text,
  source_size bigint,
  -- Expressions, see pipeline/payload-mapping.ts.
  params json NOT NULL,
  condition text,
  -- Sealed under a key that is not in the database, each for its own place; see sealer.ts.
  secret bytea NOT NULL,
  old_secret bytea,
  old_secret_until timestamptz,
  paused_at timestamptz,
  paused_by text,
  pause_reason text,
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, name),
  FOREIGN KEY (pipeline_id, pipeline_version) REFERENCES pipeline_versions (pipeline_id, version)
);

-- Each message once, whatever became of it.
CREATE TABLE trigger_deliveries (
  trigger_id text NOT NULL REFERENCES triggers ON DELETE CASCADE,
  webhook_id text NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  -- SHA-256 of its body.
  digest bytea NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  outcome text NOT NULL CHECK (outcome IN ('started', 'ignored', 'refused')),
  message text,
  run_id text REFERENCES runs ON DELETE SET NULL,
  PRIMARY KEY (trigger_id, webhook_id)
);
CREATE INDEX trigger_deliveries_newest ON trigger_deliveries (trigger_id, received_at);
CREATE INDEX trigger_deliveries_run ON trigger_deliveries (run_id) WHERE run_id IS NOT NULL;
