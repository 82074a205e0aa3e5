-- What an attempt waited for before it began: see AttemptWait; NULL where its agent did not say.
ALTER TABLE attempts ADD COLUMN waited jsonb;
