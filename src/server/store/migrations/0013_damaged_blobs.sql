-- Blobs whose bytes were found to be gone or changed: they count as absent, so that whoever has them stores them again.
ALTER TABLE blobs ADD COLUMN damaged_at timestamptz;
