-- Who asks for runs -------------------------------------------------------------------------------------------------

-- Until when the poll of a worker is held open, how many runs it holds by its own account, and how many more it would
-- take. A worker that is a better place for a run, and asks too, is left that run for a moment.
ALTER TABLE workers ADD COLUMN polls_until timestamptz;
ALTER TABLE workers ADD COLUMN polls_held integer NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN polls_for integer NOT NULL DEFAULT 0;
