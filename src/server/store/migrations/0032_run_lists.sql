-- Lists of runs by what people look for, newest first: each look reads the front of one index --------------------------------

CREATE INDEX runs_of_pipeline ON runs (pipeline_id, id DESC);
CREATE INDEX runs_in_state ON runs (project_id, state, id DESC);
CREATE INDEX runs_by_worker ON runs (worker_id, id DESC) WHERE worker_id IS NOT NULL;
