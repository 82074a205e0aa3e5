-- What a browser holds: a token that was made from another one, and ends with it.
ALTER TABLE api_tokens ADD COLUMN session_of text REFERENCES api_tokens;
CREATE INDEX api_tokens_session_of ON api_tokens (session_of) WHERE session_of IS NOT NULL AND revoked_at IS NULL;

-- What lets a browser in once, in place of a token in its address. Only the hash is kept.
CREATE TABLE session_codes (
  hash bytea PRIMARY KEY,
  token_id text NOT NULL REFERENCES api_tokens ON DELETE CASCADE,
  expires_at timestamptz NOT NULL
);
CREATE INDEX session_codes_expires_at ON session_codes (expires_at);
