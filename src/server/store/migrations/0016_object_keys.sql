-- Each upload of a blob gets an object of its own, and the row names the one that counts: no upload overwrites good
-- bytes, and the object of a deleted row is removed without racing a new upload. NULL: the key of before, without upload.
-- The tier 'large' is the store of the largest blobs, which may be another bucket, endpoint or folder.
ALTER TABLE blobs
  ADD COLUMN object_key text,
  DROP CONSTRAINT blobs_tier_check,
  ADD CONSTRAINT blobs_tier_check CHECK (tier IN ('database', 'object', 'large')),
  ADD CONSTRAINT blobs_object_key_check CHECK (object_key IS NULL OR tier <> 'database');
