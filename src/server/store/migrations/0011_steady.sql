-- After an outage -----------------------------------------------------------------------------------------------------

-- Since when the servers have looked without a pause: after one, agents first report what ended meanwhile.
ALTER TABLE reaper ADD COLUMN steady_since timestamptz NOT NULL DEFAULT '-infinity';
