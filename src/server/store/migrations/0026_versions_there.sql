-- Versions of which something is there, newest first ------------------------------------------------------------------

-- Of a project and of an artifact: without reading those of all others, nor those that are gone.
CREATE INDEX artifact_versions_of_project ON artifact_versions (project_id, id) WHERE expired_at IS NULL;
CREATE INDEX artifact_versions_of_artifact ON artifact_versions (artifact_id, (-id)) WHERE expired_at IS NULL;
