-- What is said of artifact versions beside their bytes ------------------------------------------------------------------

-- By the step that made it: the shape of the content in its own words, and how it is written. json, not jsonb, since it
-- is only handed back.
ALTER TABLE artifact_versions ADD COLUMN schema json;
ALTER TABLE artifact_versions ADD COLUMN format text;

-- Tags are no part of a version, which never changes: people set and remove them later. A removed one stays, without its
-- value, so that it is known who removed it and when.
CREATE TABLE artifact_tags (
  artifact_version_id bigint NOT NULL REFERENCES artifact_versions ON DELETE CASCADE,
  key text NOT NULL,
  project_id text NOT NULL REFERENCES projects,
  value text,
  -- NULL: the step that made the version, or its pipeline file.
  changed_by text,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (artifact_version_id, key)
);
CREATE INDEX artifact_tags_value ON artifact_tags (project_id, key, value, artifact_version_id) WHERE value IS NOT NULL;
