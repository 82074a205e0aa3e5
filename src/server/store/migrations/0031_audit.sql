-- Who changed what, in chains of hashes: one for each project, and one for the installation. Rows are only ever added.
--
-- A transaction leaves what it did in audit_incoming. As it commits, a deferred trigger gives each of these the next
-- place in its chain. The lock on the chain is the last one that a transaction takes, and is held for the commit alone:
-- writers of one project wait for one another no longer than that, and cannot lock one another out.

CREATE TABLE audit_incoming (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain text NOT NULL,
  -- The very text that is hashed, and so json, which keeps it as it is.
  event json NOT NULL
);

-- The newest row of each chain.
CREATE TABLE audit_chains (
  -- The id of a project, or 'installation'.
  chain text PRIMARY KEY,
  sequence bigint NOT NULL,
  hash bytea NOT NULL
);

CREATE TABLE audit_events (
  chain text NOT NULL,
  -- From 1, with no gap.
  sequence bigint NOT NULL,
  at timestamptz(3) NOT NULL,
  -- 32 bytes of zero before the first.
  previous bytea NOT NULL,
  hash bytea NOT NULL,
  event json NOT NULL,
  action text NOT NULL GENERATED ALWAYS AS (event ->> 'action') STORED,
  subject text NOT NULL GENERATED ALWAYS AS (event ->> 'subject') STORED,
  actor_name text NOT NULL GENERATED ALWAYS AS (event -> 'actor' ->> 'name') STORED,
  actor_id text GENERATED ALWAYS AS (event -> 'actor' ->> 'id') STORED,
  PRIMARY KEY (chain, sequence)
);
CREATE INDEX audit_events_subject ON audit_events (chain, subject, sequence);
CREATE INDEX audit_events_action ON audit_events (chain, action, sequence);
CREATE INDEX audit_events_actor ON audit_events (chain, actor_name, sequence);

-- What is hashed is canonical JSON (RFC 8785) in UTF-8: the event was written like that by the server, and the keys
-- around it are in order. src/protocol/audit-chain.ts makes the same bytes.
CREATE FUNCTION append_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before audit_chains;
  added audit_events;
BEGIN
  INSERT INTO audit_chains (chain, sequence, hash) VALUES (NEW.chain, 0, decode(repeat('00', 32), 'hex'))
    ON CONFLICT DO NOTHING;
  SELECT * INTO before FROM audit_chains WHERE chain = NEW.chain FOR UPDATE;
  added.sequence := before.sequence + 1;
  added.at := date_trunc('milliseconds', clock_timestamp());
  added.hash := sha256(convert_to(format('{"at":"%s","chain":"%s","event":%s,"previous":"%s","sequence":%s}',
    to_char(added.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), NEW.chain, NEW.event::text,
    encode(before.hash, 'hex'), added.sequence), 'UTF8'));
  INSERT INTO audit_events (chain, sequence, at, previous, hash, event)
    VALUES (NEW.chain, added.sequence, added.at, before.hash, added.hash, NEW.event);
  UPDATE audit_chains SET sequence = added.sequence, hash = added.hash WHERE chain = NEW.chain;
  DELETE FROM audit_incoming WHERE id = NEW.id;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER append_audit_event AFTER INSERT ON audit_incoming
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION append_audit_event();

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only added to: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER refuse_audit_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER refuse_audit_removal BEFORE DELETE OR TRUNCATE ON audit_chains
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
