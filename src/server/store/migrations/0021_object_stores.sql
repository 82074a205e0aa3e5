-- Object stores that this installation has used. The id lies in the store itself and in the keys of its objects, so that
-- a store is known again wherever it was moved to, and what lies in one that is no longer configured can be named.
CREATE TABLE object_stores (
  id text PRIMARY KEY,
  -- Where it was the last time, for people: `folder /data`, `bucket b at https://…`.
  place text NOT NULL,
  -- Objects of before keys named their store lie in the first one.
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
