-- Signed provenance ---------------------------------------------------------------------------------------------------

-- Public keys that servers of this installation sign, or signed, with. None is ever removed: what it signed stays valid.
CREATE TABLE provenance_keys (
  -- SHA-256 of the key in DER.
  id text PRIMARY KEY,
  -- PEM.
  public_key text NOT NULL,
  first_used_at timestamptz NOT NULL DEFAULT now()
);

-- The statement about a version, as it was signed first: it is never made anew, whatever becomes of the key.
CREATE TABLE artifact_provenance (
  artifact_version_id bigint PRIMARY KEY REFERENCES artifact_versions ON DELETE CASCADE,
  project_id text NOT NULL REFERENCES projects,
  key_id text NOT NULL REFERENCES provenance_keys,
  payload bytea NOT NULL,
  signature bytea NOT NULL,
  issued_at timestamptz NOT NULL DEFAULT now()
);
