-- The images that a restart runs in, by environment: those of the run that it goes on from, {"env": {"id": …, "digest": …}}.
ALTER TABLE runs ADD COLUMN images jsonb;
