-- Environment variables that every step of a project's runs is given.
CREATE TABLE project_variables (
  project_id text NOT NULL REFERENCES projects,
  name text NOT NULL,
  value text NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name)
);

-- Those of the project as they were when the run was created.
ALTER TABLE runs ADD COLUMN variables jsonb NOT NULL DEFAULT '{}';
