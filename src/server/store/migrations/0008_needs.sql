-- What a run needs of its worker -------------------------------------------------------------------------------------

-- Of each resource the most that one of its steps asks for: the claim compares it with what the worker has.
ALTER TABLE runs ADD COLUMN needed_cpus double precision NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN needed_memory_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN needed_gpus integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN needed_disk_bytes bigint NOT NULL DEFAULT 0;

-- Plans of before say nothing of GPUs and disks.
UPDATE runs SET needed_cpus = most.cpus, needed_memory_bytes = most.memory
FROM (SELECT v.pipeline_id, v.version,
        COALESCE(max((step -> 'resources' ->> 'cpu')::double precision), 0) AS cpus,
        COALESCE(max((step -> 'resources' ->> 'memoryBytes')::bigint), 0) AS memory
      FROM pipeline_versions v CROSS JOIN json_array_elements(v.plan -> 'steps') AS step
      GROUP BY v.pipeline_id, v.version) AS most
WHERE most.pipeline_id = runs.pipeline_id AND most.version = runs.pipeline_version
  AND runs.state IN ('queued', 'running', 'cancelling');

-- The line in which runs wait for GPUs.
CREATE INDEX runs_queue_gpus ON runs (project_id, pool, priority DESC, created_at, id)
  WHERE state = 'queued' AND needed_gpus > 0;
