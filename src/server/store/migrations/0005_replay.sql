-- What an attempt was made of, so that it can be made again ----------------------------------------------------------

-- The image that it ran in, {"id": …, "digest": …}: what its backend knows it by, and what it is known by everywhere.
ALTER TABLE attempts ADD COLUMN image jsonb;
-- What it might use; more than the plan says after one that ran out. NULL is no limit.
ALTER TABLE attempts ADD COLUMN memory_bytes bigint;
-- How the run had ended before it, {"state": …, "fault": …}: of steps that run after that.
ALTER TABLE attempts ADD COLUMN run_end jsonb;
