-- The data model of the foundation. Every table that belongs to a project carries project_id. States are text, checked
-- against the transition tables of protocol/states.ts by compare-and-swap updates. Only now() decides leases.

CREATE TABLE installation (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
  id text PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Identity ---------------------------------------------------------------------------------------------------------

CREATE TABLE api_tokens (
  id text PRIMARY KEY,
  -- NULL: an installation-wide token, for administrators only.
  project_id text REFERENCES projects,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('admin', 'operator', 'developer', 'viewer')),
  -- SHA-256 of the token, which holds 256 random bits: nothing to brute-force, so nothing slow is needed.
  hash bytea NOT NULL UNIQUE,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  CHECK (project_id IS NOT NULL OR role = 'admin')
);

CREATE TABLE workers (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  name text NOT NULL,
  type text NOT NULL CHECK (type IN ('local', 'custom', 'cloud')),
  pool text NOT NULL,
  labels text[] NOT NULL,
  -- Raw Ed25519 key, base64url.
  public_key text NOT NULL UNIQUE,
  agent_version text NOT NULL,
  capabilities jsonb NOT NULL,
  -- The process of the agent that may speak for the worker; every earlier one is fenced.
  boot_id text,
  booted_at timestamptz,
  last_seen_at timestamptz,
  draining boolean NOT NULL DEFAULT false,
  registered_at timestamptz NOT NULL DEFAULT now(),
  removed_at timestamptz
);
CREATE UNIQUE INDEX workers_name ON workers (project_id, name) WHERE removed_at IS NULL;

CREATE TABLE registration_tokens (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  hash bytea NOT NULL UNIQUE,
  pool text NOT NULL,
  labels text[] NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  used_at timestamptz,
  used_by text REFERENCES workers
);

-- Pipelines --------------------------------------------------------------------------------------------------------

CREATE TABLE pipelines (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  name text NOT NULL,
  latest_version integer NOT NULL DEFAULT 0,
  last_run_number integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, name)
);

CREATE TABLE pipeline_versions (
  pipeline_id text NOT NULL REFERENCES pipelines,
  version integer NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  -- SHA-256 of the canonical plan: the same plan submitted again makes no new version.
  digest text NOT NULL,
  source text NOT NULL,
  -- json, not jsonb: the order of a matrix' dimensions is part of the keys of its step runs, and jsonb reorders keys.
  plan json NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline_id, version)
);

-- Runs -------------------------------------------------------------------------------------------------------------

CREATE TABLE runs (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  pipeline_id text NOT NULL REFERENCES pipelines,
  pipeline_version integer NOT NULL,
  -- Counts per pipeline: people say `wine#12`.
  number integer NOT NULL,
  params json NOT NULL,
  source_digest text,
  source_size bigint,
  pool text NOT NULL,
  labels text[] NOT NULL,
  backend text,
  -- Sent by a client so that a repeated submission returns the first run.
  request_key text,
  state text NOT NULL DEFAULT 'queued',
  fault jsonb,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz,
  cancel_requested_at timestamptz,
  cancel_requested_by text,
  cancel_reason text,
  -- The lease. The epoch only grows; every write of an agent names it.
  epoch integer NOT NULL DEFAULT 0,
  worker_id text REFERENCES workers,
  lease_expires_at timestamptz,
  -- Last event applied of the current epoch, and last event of the stream that clients follow.
  agent_seq integer NOT NULL DEFAULT 0,
  stream_seq integer NOT NULL DEFAULT 0,
  UNIQUE (pipeline_id, number),
  FOREIGN KEY (pipeline_id, pipeline_version) REFERENCES pipeline_versions (pipeline_id, version)
);
CREATE UNIQUE INDEX runs_request_key ON runs (project_id, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX runs_queue ON runs (project_id, pool, created_at, id) WHERE state = 'queued';
-- Also what the reaper scans: lease_expires_at itself is in no index, so that a heartbeat rewrites no index entry.
CREATE INDEX runs_of_worker ON runs (worker_id) WHERE state IN ('running', 'cancelling');
CREATE INDEX runs_newest ON runs (project_id, id DESC);

-- Every lease that was ever granted. A worker that once held a run is told that its epoch is stale (409); one that
-- never did is told nothing about the run (404).
CREATE TABLE run_leases (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  epoch integer NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  worker_id text NOT NULL REFERENCES workers,
  granted_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  end_reason text,
  PRIMARY KEY (run_id, epoch)
);

-- When a reaper last looked at the leases: a long pause means that the server was away, not the workers.
CREATE TABLE reaper (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  passed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO reaper DEFAULT VALUES;

CREATE TABLE step_runs (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  key text NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  step text NOT NULL,
  -- Order of display: index of the step, then of the combination, then of the item.
  position integer NOT NULL,
  matrix json,
  -- Batch item; NULL for a plain step run and for a batch as a whole.
  item integer,
  -- The batch that this item belongs to.
  parent text,
  -- Number of items of a batch as a whole, once it was split.
  items integer,
  state text NOT NULL DEFAULT 'pending',
  attempts integer NOT NULL DEFAULT 0,
  fault jsonb,
  started_at timestamptz,
  finished_at timestamptz,
  PRIMARY KEY (run_id, key)
);
CREATE INDEX step_runs_order ON step_runs (run_id, position, COALESCE(item, -1));

CREATE TABLE attempts (
  run_id text NOT NULL,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  epoch integer NOT NULL,
  worker_id text NOT NULL REFERENCES workers,
  backend text NOT NULL,
  object text NOT NULL,
  state text NOT NULL DEFAULT 'running',
  exit_code integer,
  signal text,
  fault jsonb,
  phases jsonb NOT NULL DEFAULT '{}',
  usage jsonb NOT NULL DEFAULT '{}',
  warnings text[] NOT NULL DEFAULT '{}',
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  PRIMARY KEY (run_id, step_run, attempt),
  FOREIGN KEY (run_id, step_run) REFERENCES step_runs (run_id, key) ON DELETE CASCADE
);

-- What clients follow: gapless per run, in commit order, because seq is taken under the run's row lock.
CREATE TABLE run_events (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  seq integer NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  at timestamptz NOT NULL DEFAULT now(),
  body json NOT NULL,
  PRIMARY KEY (run_id, seq)
);

-- Logs: zstd-compressed chunks, each starting where the one before ended.
CREATE TABLE log_chunks (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  -- Logs may arrive before their attempt is known. If the worker is lost in between, the next one starts the same
  -- attempt number again: its bytes are another stream and must not be taken for a repetition.
  epoch integer NOT NULL,
  stream text NOT NULL,
  start_offset bigint NOT NULL,
  end_offset bigint NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  -- Order of arrival within the run, across streams: how the streams are shown together.
  arrival bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL DEFAULT now(),
  data bytea STORAGE EXTERNAL NOT NULL,
  PRIMARY KEY (run_id, step_run, attempt, epoch, stream, start_offset)
);
CREATE INDEX log_chunks_arrival ON log_chunks (run_id, arrival);

-- Data store -------------------------------------------------------------------------------------------------------

CREATE TABLE blobs (
  project_id text NOT NULL REFERENCES projects,
  digest text NOT NULL,
  size bigint NOT NULL,
  -- Where the bytes lie: in blob_bytes, or in the object store under a key made of project and digest.
  tier text NOT NULL CHECK (tier IN ('database', 'object')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, digest)
);

CREATE TABLE blob_bytes (
  project_id text NOT NULL,
  digest text NOT NULL,
  data bytea STORAGE EXTERNAL NOT NULL,
  PRIMARY KEY (project_id, digest),
  FOREIGN KEY (project_id, digest) REFERENCES blobs ON DELETE CASCADE
);

CREATE TABLE artifacts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  pipeline_id text NOT NULL REFERENCES pipelines,
  step text NOT NULL,
  name text NOT NULL,
  latest_version integer NOT NULL DEFAULT 0,
  UNIQUE (pipeline_id, step, name)
);

-- Which version number the artifact has in this run; all items of a batch or matrix share it.
CREATE TABLE artifact_runs (
  artifact_id bigint NOT NULL REFERENCES artifacts,
  run_id text NOT NULL REFERENCES runs,
  project_id text NOT NULL REFERENCES projects,
  version integer NOT NULL,
  PRIMARY KEY (artifact_id, run_id),
  UNIQUE (artifact_id, version)
);

CREATE TABLE artifact_versions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  artifact_id bigint NOT NULL REFERENCES artifacts,
  version integer NOT NULL,
  -- '' for a plain step; else what tells the items apart, such as `model=forest` or `7`.
  item text NOT NULL,
  run_id text NOT NULL REFERENCES runs,
  step_run text NOT NULL,
  attempt integer NOT NULL,
  name text NOT NULL,
  worker_id text NOT NULL REFERENCES workers,
  kind text NOT NULL CHECK (kind IN ('file', 'folder')),
  digest text NOT NULL,
  size bigint NOT NULL,
  file_count integer NOT NULL,
  file_name text NOT NULL,
  content_type text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (artifact_id, version, item),
  -- Exactly one attempt's outputs become visible.
  UNIQUE (run_id, step_run, name),
  FOREIGN KEY (project_id, digest) REFERENCES blobs (project_id, digest)
);
CREATE INDEX artifact_versions_blob ON artifact_versions (project_id, digest);

-- The blobs that a folder's manifest names, so that a reference is a row and not only text in a manifest.
CREATE TABLE artifact_blobs (
  artifact_version_id bigint NOT NULL REFERENCES artifact_versions ON DELETE CASCADE,
  project_id text NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (artifact_version_id, digest),
  FOREIGN KEY (project_id, digest) REFERENCES blobs (project_id, digest)
);

-- Lineage: the versions that the committed attempt of a step run read.
CREATE TABLE artifact_inputs (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  input text NOT NULL,
  artifact_version_id bigint NOT NULL REFERENCES artifact_versions,
  project_id text NOT NULL REFERENCES projects,
  PRIMARY KEY (run_id, step_run, input, artifact_version_id)
);
CREATE INDEX artifact_inputs_version ON artifact_inputs (artifact_version_id);
