-- Uploads of blobs that take several requests. Nothing of them is visible: the object gets its key when all of it is
-- there, and is named by a row of blobs when it was found to be right. A row of this table is what a sender goes on from.
CREATE TABLE uploads (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects,
  digest text NOT NULL,
  size bigint NOT NULL,
  -- The id of the worker or the API token that sends. It has one unfinished upload of a blob, so that to begin again is
  -- to go on, and nobody writes into what somebody else sends.
  owner text NOT NULL,
  way text NOT NULL CHECK (way IN ('server', 'direct')),
  tier text NOT NULL CHECK (tier IN ('object', 'large')),
  object_key text NOT NULL,
  -- What the store calls the unfinished write; NULL for one that is a single request to the store.
  reference text,
  -- Bytes of each part but the last, of a direct upload.
  part_bytes bigint NOT NULL,
  -- Counts appends: what a server remembers of the bytes is only used when nobody else appended in between.
  appends integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  moved_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, digest, owner)
);
CREATE INDEX uploads_moved ON uploads (moved_at);
