-- What changes is told to whoever watches the runs of a project ---------------------------------------------------------------

-- The transaction that changed last what a list shows of a run. Whoever reads the rows at or after the oldest transaction that was
-- under way at its last look has missed none: see store/run-changes.ts. NULL: not since this migration.
ALTER TABLE runs ADD COLUMN changed_in xid8;
ALTER TABLE runs ALTER COLUMN changed_in SET DEFAULT pg_current_xact_id();
CREATE INDEX runs_changed ON runs (project_id, changed_in) WHERE changed_in IS NOT NULL;

CREATE FUNCTION note_run_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_in := pg_current_xact_id();
  RETURN NEW;
END $$;
-- Not of what a heartbeat or an event writes: those rewrite no index entry.
CREATE TRIGGER note_run_change BEFORE UPDATE OF state, held_back, worker_id, fault, cancel_requested_at, started_by ON runs
  FOR EACH ROW EXECUTE FUNCTION note_run_change();

-- How runs ended over time, without a look at the rows.
CREATE INDEX runs_ended ON runs (project_id, finished_at DESC) INCLUDE (state, created_at, started_at)
  WHERE finished_at IS NOT NULL;
