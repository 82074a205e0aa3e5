-- Secrets of projects ---------------------------------------------------------------------------------------------------

-- What values of a project are encrypted under; itself sealed under a key that is not in the database, see sealer.ts.
CREATE TABLE project_keys (
  project_id text NOT NULL REFERENCES projects,
  version integer NOT NULL,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, version)
);

CREATE TABLE secrets (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  name text NOT NULL,
  -- NULL: runs of all pipelines may have it.
  pipelines text[],
  -- What steps get.
  current_version integer NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, name)
);

CREATE TABLE secret_versions (
  secret_id text NOT NULL REFERENCES secrets ON DELETE CASCADE,
  version integer NOT NULL,
  project_id text NOT NULL,
  key_version integer NOT NULL,
  -- Bound to project, secret and version.
  sealed bytea NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (secret_id, version),
  FOREIGN KEY (project_id, key_version) REFERENCES project_keys
);

-- Each time that an attempt was given a value. It outlives the secret.
CREATE TABLE secret_accesses (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  secret_id text NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  epoch integer NOT NULL,
  worker_id text NOT NULL REFERENCES workers,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX secret_accesses_newest ON secret_accesses (secret_id, id DESC);
CREATE INDEX secret_accesses_run ON secret_accesses (run_id);
