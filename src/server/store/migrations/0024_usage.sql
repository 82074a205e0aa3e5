-- What the store holds ------------------------------------------------------------------------------------------------

-- Most bytes of a project, or of one of its pipelines, and of one artifact; NULL is no limit.
CREATE TABLE quotas (
  project_id text NOT NULL REFERENCES projects,
  -- '': the project as a whole.
  pipeline text NOT NULL DEFAULT '',
  max_bytes bigint,
  max_artifact_bytes bigint,
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, pipeline)
);

-- How much it was, over time: of each tier, and of each pipeline.
CREATE TABLE store_samples (
  project_id text NOT NULL REFERENCES projects,
  kind text NOT NULL CHECK (kind IN ('tier', 'pipeline')),
  name text NOT NULL,
  at timestamptz NOT NULL,
  -- Equal bytes once; and as often as versions refer to them, which is the same for a tier.
  bytes bigint NOT NULL,
  referenced_bytes bigint NOT NULL,
  PRIMARY KEY (project_id, kind, name, at)
);
CREATE INDEX store_samples_at ON store_samples (at);
ALTER TABLE collector ADD COLUMN sampled_at timestamptz NOT NULL DEFAULT '-infinity';
