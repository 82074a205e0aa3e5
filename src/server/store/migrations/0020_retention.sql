-- How long versions are kept ------------------------------------------------------------------------------------------

-- What is said outside of pipeline files. keep_ms NULL is for ever, 0 no time by itself; `last` keeps the newest ones.
CREATE TABLE retention_rules (
  -- NULL: of the installation.
  project_id text REFERENCES projects,
  scope text NOT NULL CHECK (scope IN ('installation', 'project', 'type', 'artifact')),
  -- A type, or `pipeline/step/artifact`.
  subject text NOT NULL DEFAULT '',
  keep_ms bigint,
  last integer,
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (project_id, scope, subject),
  CHECK ((scope = 'installation') = (project_id IS NULL)),
  CHECK ((scope IN ('type', 'artifact')) = (subject <> ''))
);

-- Projects whose rules were changed, and up to which version that was worked in.
CREATE TABLE retention_changes (
  project_id text PRIMARY KEY REFERENCES projects,
  worked_in_to bigint NOT NULL DEFAULT 0
);

ALTER TABLE artifact_versions
  -- As its step declares it; NULL for versions of before.
  ADD COLUMN type text,
  -- What its pipeline file says: {"of": "output" or "pipeline", "keepMs": …, "last": …}.
  ADD COLUMN retention jsonb,
  -- What was said of this version alone, and by whom.
  ADD COLUMN kept_until timestamptz,
  ADD COLUMN kept_until_by text,
  -- When the rule that holds lets it go, as of the last look; NULL is never. What is due is judged anew.
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN pinned_at timestamptz,
  ADD COLUMN pinned_by text,
  ADD COLUMN pin_reason text,
  -- A version that is gone keeps its row, which says when it went and why.
  ADD COLUMN expired_at timestamptz,
  ADD COLUMN expired_by text,
  -- Its blob, as long as it is there: what a blob's row cannot be deleted under.
  ADD COLUMN held_digest text GENERATED ALWAYS AS (CASE WHEN expired_at IS NULL THEN digest END) STORED,
  DROP CONSTRAINT artifact_versions_project_id_digest_fkey,
  ADD FOREIGN KEY (project_id, held_digest) REFERENCES blobs (project_id, digest);
UPDATE artifact_versions SET expires_at = created_at + interval '14 days';

DROP INDEX artifact_versions_blob;
CREATE INDEX artifact_versions_blob ON artifact_versions (project_id, held_digest) WHERE held_digest IS NOT NULL;
CREATE INDEX artifact_versions_due ON artifact_versions (expires_at, id)
  WHERE expired_at IS NULL AND pinned_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX artifact_blobs_blob ON artifact_blobs (project_id, digest);

-- Set once nothing of what the run itself made is there any more.
ALTER TABLE artifact_runs ADD COLUMN expired_at timestamptz;
CREATE INDEX artifact_runs_kept ON artifact_runs (artifact_id, version) WHERE expired_at IS NULL;

-- Results that were offered to a run from the cache: until it has ended they stay.
CREATE TABLE cache_grants (
  run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
  step_run text NOT NULL,
  from_run text NOT NULL REFERENCES runs,
  PRIMARY KEY (run_id, step_run)
);
CREATE INDEX cache_grants_from ON cache_grants (from_run, step_run);

-- Since when it is not known that something refers to the blob: the collector looks after a grace, and sets NULL where
-- something does. Whoever takes a reference away sets it.
ALTER TABLE blobs ADD COLUMN unsure_since timestamptz DEFAULT now();
CREATE INDEX blobs_unsure ON blobs (unsure_since) WHERE unsure_since IS NOT NULL;
CREATE INDEX runs_source ON runs (project_id, source_digest) WHERE source_digest IS NOT NULL;

-- When a replica last looked at every object for those that no row names.
CREATE TABLE collector (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  swept_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO collector DEFAULT VALUES;
