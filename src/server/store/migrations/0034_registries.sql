-- A secret that is the password of a registry: its user, and by its name, `registry:HOST`, its host. No step can name it.
ALTER TABLE secrets ADD COLUMN registry_user text;
