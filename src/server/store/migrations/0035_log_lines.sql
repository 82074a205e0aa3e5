-- How many lines end in a chunk of a log. NULL: of before lines were counted; they are when somebody looks for one.
ALTER TABLE log_chunks ADD COLUMN lines integer;
