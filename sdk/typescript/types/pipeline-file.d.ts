// Written from src/pipeline/schema.ts by `npm run schema`: what a pipeline file may hold.

export interface PipelineFile {
  /** Name of the pipeline; its versions and runs count under it. */
  readonly name: string;
  /** What the pipeline does, for people. */
  readonly description?: string;
  /** Parameters of a run. The short form is the default value. */
  readonly params?: { readonly [name: string]: string | number | boolean | {
    /** Inferred from default if left out. */
    readonly type?: "string" | "integer" | "number" | "boolean";
    /** Value of runs that give none. */
    readonly default?: string | number | boolean;
    /** Whether a run must give a value; by default, when there is no default. */
    readonly required?: boolean;
    /** What it does, for people. */
    readonly description?: string;
    /** The only values allowed. */
    readonly choices?: readonly (string | number | boolean)[];
  } };
  /** parallel: each step as soon as what it needs succeeded. serial: one after another, in file order. */
  readonly mode?: "parallel" | "serial";
  /** true: the first step that fails ends all others. Default: false. */
  readonly fail_fast?: boolean;
  /** Runs of higher priority are taken first: -100 to 100. Default: 0. */
  readonly priority?: number;
  /** Runs of this group, of whatever pipeline, are at work one at a time, or as many as limit says. */
  readonly concurrency?: string | {
    /** What the runs have in common; parameters may be put in, such as ${{ params.target }}. */
    readonly group: string;
    /** Runs at work at once. Default: 1. */
    readonly limit?: number;
    /** What happens when a run comes and no place is free. Default: queue. */
    readonly policy?: "queue" | "cancel_older" | "refuse";
  };
  /** How long a run may take, from when a worker takes it. */
  readonly timeout?: string;
  /** How long a run may wait for a worker. */
  readonly queueTimeout?: string;
  /** Environment variables of every step. */
  readonly env?: { readonly [name: string]: string | number | boolean };
  /** Environment of the steps that name none. */
  readonly environment?: string | {
    /** Image that the generated Dockerfile starts from. */
    readonly base?: string;
    /** Ready image, used as it is. */
    readonly image?: string;
    /** Your own Dockerfile, inside the source folder. */
    readonly dockerfile?: string;
    /** Debian packages. With base only. */
    readonly apt?: readonly string[];
    /** Python packages, installed by pip or, from a uv.lock, by uv. With base only. */
    readonly python?: {
      /** requirements.txt inside the source folder. */
      readonly requirements?: string;
      /** uv.lock inside the source folder, with its pyproject.toml beside it: uv sync --locked. */
      readonly lockfile?: string;
      /** Packages by name, such as numpy>=2. */
      readonly packages?: readonly string[];
      /** Index that pip asks in place of PyPI; of a list, the first is, and the others are asked as well. */
      readonly index?: string | readonly string[];
    };
    /** Node packages, installed by the manager of the lock file, or npm. With base only. */
    readonly node?: {
      /** Lock file of npm, pnpm or yarn inside the source folder, with its package.json beside it. */
      readonly lockfile?: string;
      /** Version of pnpm or yarn that installs; by default one that Berth knows. */
      readonly manager?: string;
      /** Packages by name, such as zod@4. */
      readonly packages?: readonly string[];
      /** Registry that is asked in place of the manager's own. */
      readonly registry?: string;
      /** Registries of single scopes, by @scope. */
      readonly scopes?: { readonly [name: string]: string };
    };
    /** Conda packages; the base image brings micromamba, conda or pixi. With base only. */
    readonly conda?: {
      /** environment.yml, lock file of conda-lock, or pixi.lock (with its pixi.toml beside it) inside the source folder. */
      readonly file: string;
    };
    /** Secrets of the project by which package indexes know the build, by host: a token, or user and secret. With base only. */
    readonly credentials?: { readonly [name: string]: string | {
      /** User whose password the secret is; without one the secret is a token. */
      readonly user: string;
      /** Name of the secret. */
      readonly secret: string;
    } };
    /** Folder that becomes /app, the working directory: copied into the image with base, mounted read-only with image. */
    readonly source?: string;
    /** When a registry is asked for the image, or for what it is built from: if it is missing (default), always, or never. */
    readonly pull?: "missing" | "always" | "never";
    /** Build context of your own Dockerfile; the source folder by default. */
    readonly context?: string;
    /** Build arguments of your own Dockerfile. */
    readonly args?: { readonly [name: string]: string };
    /** Secrets of the project that your own Dockerfile may mount: RUN --mount=type=secret,id=NAME. */
    readonly secrets?: readonly (string | {
      /** Name of the secret. */
      readonly name: string;
      /** What RUN --mount=type=secret,id=… calls it. Default: the name. */
      readonly id: string;
    })[];
    /** Stage of your own Dockerfile that is the image; the last by default. */
    readonly target?: string;
    /** Variables in this environment. Templates are not replaced here. */
    readonly env?: { readonly [name: string]: string | number | boolean };
  };
  /** Environments by name. */
  readonly environments?: { readonly [name: string]: {
    /** Image that the generated Dockerfile starts from. */
    readonly base?: string;
    /** Ready image, used as it is. */
    readonly image?: string;
    /** Your own Dockerfile, inside the source folder. */
    readonly dockerfile?: string;
    /** Debian packages. With base only. */
    readonly apt?: readonly string[];
    /** Python packages, installed by pip or, from a uv.lock, by uv. With base only. */
    readonly python?: {
      /** requirements.txt inside the source folder. */
      readonly requirements?: string;
      /** uv.lock inside the source folder, with its pyproject.toml beside it: uv sync --locked. */
      readonly lockfile?: string;
      /** Packages by name, such as numpy>=2. */
      readonly packages?: readonly string[];
      /** Index that pip asks in place of PyPI; of a list, the first is, and the others are asked as well. */
      readonly index?: string | readonly string[];
    };
    /** Node packages, installed by the manager of the lock file, or npm. With base only. */
    readonly node?: {
      /** Lock file of npm, pnpm or yarn inside the source folder, with its package.json beside it. */
      readonly lockfile?: string;
      /** Version of pnpm or yarn that installs; by default one that Berth knows. */
      readonly manager?: string;
      /** Packages by name, such as zod@4. */
      readonly packages?: readonly string[];
      /** Registry that is asked in place of the manager's own. */
      readonly registry?: string;
      /** Registries of single scopes, by @scope. */
      readonly scopes?: { readonly [name: string]: string };
    };
    /** Conda packages; the base image brings micromamba, conda or pixi. With base only. */
    readonly conda?: {
      /** environment.yml, lock file of conda-lock, or pixi.lock (with its pixi.toml beside it) inside the source folder. */
      readonly file: string;
    };
    /** Secrets of the project by which package indexes know the build, by host: a token, or user and secret. With base only. */
    readonly credentials?: { readonly [name: string]: string | {
      /** User whose password the secret is; without one the secret is a token. */
      readonly user: string;
      /** Name of the secret. */
      readonly secret: string;
    } };
    /** Folder that becomes /app, the working directory: copied into the image with base, mounted read-only with image. */
    readonly source?: string;
    /** When a registry is asked for the image, or for what it is built from: if it is missing (default), always, or never. */
    readonly pull?: "missing" | "always" | "never";
    /** Build context of your own Dockerfile; the source folder by default. */
    readonly context?: string;
    /** Build arguments of your own Dockerfile. */
    readonly args?: { readonly [name: string]: string };
    /** Secrets of the project that your own Dockerfile may mount: RUN --mount=type=secret,id=NAME. */
    readonly secrets?: readonly (string | {
      /** Name of the secret. */
      readonly name: string;
      /** What RUN --mount=type=secret,id=… calls it. Default: the name. */
      readonly id: string;
    })[];
    /** Stage of your own Dockerfile that is the image; the last by default. */
    readonly target?: string;
    /** Variables in this environment. Templates are not replaced here. */
    readonly env?: { readonly [name: string]: string | number | boolean };
  } };
  /** How often, and for what, a step is tried again. A number is max. */
  readonly retry?: number | {
    /** Attempts after the first. Default: 3. */
    readonly max?: number;
    /** Pause before the first of them. Default: 1s. */
    readonly delay?: string;
    /** How the pause grows. exponential (default): doubles, of which a random part is waited. */
    readonly backoff?: "exponential" | "linear" | "fixed";
    /** Longest pause. Default: 60s. */
    readonly maxDelay?: string;
    /** Fault classes and codes that are tried again. Default: application, oom, timeout. */
    readonly on?: readonly string[];
    /** How far the memory limit is raised after the step ran out of it. Default: four times the limit. */
    readonly maxMemory?: string;
    /** Attempts after faults of the platform, which do not count for max. Default: 5. */
    readonly infrastructure?: number;
  };
  /** How steps are kept apart from their worker and from each other. A step's keys win over the pipeline's. */
  readonly isolation?: {
    /** none: without any. default: the one of the run. allow: one that reaches these only. */
    readonly network?: string | {
      /** host:port, or 10.1.0.0/16:port/udp. */
      readonly allow: readonly string[];
    };
    /** true: the step can write to its attempt folder and /tmp only. Default: false. */
    readonly read_only_root?: boolean;
    /** Profile of AppArmor, which the worker has loaded. */
    readonly apparmor?: string;
    /** Type of SELinux, such as container_t. */
    readonly selinux?: string;
    /** Runtime of the worker's engine, such as runsc (gVisor) or kata; needs network: none. */
    readonly runtime?: string;
    /** Folders of the worker, by the names that its policy gives them; read-only. */
    readonly mounts?: readonly string[];
    /** Refused: no step runs privileged, whoever asks. */
    readonly privileged?: boolean | string;
    /** Refused: a step always has namespaces of its own, never those of its worker. */
    readonly pid?: boolean | string;
    /** Refused: a step always has namespaces of its own, never those of its worker. */
    readonly ipc?: boolean | string;
    /** Refused: no step is given capabilities. */
    readonly capabilities?: boolean | string;
  };
  /** How long versions of artifacts are kept: see docs/retention.md. */
  readonly retention?: string | {
    /** How long each version is kept: 12h, 14d, forever. Left out: only the last ones. */
    readonly keep?: string;
    /** The newest versions are kept whatever their age. */
    readonly last?: number;
  };
  /** When to run it, by name: see docs/schedules-and-triggers.md. */
  readonly schedules?: { readonly [name: string]: string | {
    /** Minute, hour, day, month and weekday, such as "0 3 * * *"; or @daily. */
    readonly cron: string;
    /** Time zone of the expression. Default: UTC. */
    readonly timezone?: string;
    /** When it is due while its last run goes on. skip (default): not this time. queue: after it. cancel_older: instead of it. allow: beside it. */
    readonly overlap?: "skip" | "queue" | "cancel_older" | "allow";
    /** What was due while no server was up. none: nothing. last (default): the newest. all: each of them. */
    readonly catchUp?: "none" | "last" | "all";
    /** Parameters of its runs, over the defaults. */
    readonly params?: { readonly [name: string]: string | number | boolean };
    /** false: it is kept and never due. Default: true. */
    readonly enabled?: boolean;
  } };
  /** Who may take the run. */
  readonly worker?: {
    /** Pool whose workers may take the run. Default: default. */
    readonly pool?: string;
    /** Labels that the worker must have, all of them. */
    readonly labels?: readonly string[];
    /** Backend to run on, such as docker or process. Default: the worker's own. */
    readonly backend?: string;
  };
  /** The steps by name. */
  readonly steps: { readonly [name: string]: {
    /** Name of an environment, or an environment for this step alone. */
    readonly environment?: string | {
      /** Image that the generated Dockerfile starts from. */
      readonly base?: string;
      /** Ready image, used as it is. */
      readonly image?: string;
      /** Your own Dockerfile, inside the source folder. */
      readonly dockerfile?: string;
      /** Debian packages. With base only. */
      readonly apt?: readonly string[];
      /** Python packages, installed by pip or, from a uv.lock, by uv. With base only. */
      readonly python?: {
        /** requirements.txt inside the source folder. */
        readonly requirements?: string;
        /** uv.lock inside the source folder, with its pyproject.toml beside it: uv sync --locked. */
        readonly lockfile?: string;
        /** Packages by name, such as numpy>=2. */
        readonly packages?: readonly string[];
        /** Index that pip asks in place of PyPI; of a list, the first is, and the others are asked as well. */
        readonly index?: string | readonly string[];
      };
      /** Node packages, installed by the manager of the lock file, or npm. With base only. */
      readonly node?: {
        /** Lock file of npm, pnpm or yarn inside the source folder, with its package.json beside it. */
        readonly lockfile?: string;
        /** Version of pnpm or yarn that installs; by default one that Berth knows. */
        readonly manager?: string;
        /** Packages by name, such as zod@4. */
        readonly packages?: readonly string[];
        /** Registry that is asked in place of the manager's own. */
        readonly registry?: string;
        /** Registries of single scopes, by @scope. */
        readonly scopes?: { readonly [name: string]: string };
      };
      /** Conda packages; the base image brings micromamba, conda or pixi. With base only. */
      readonly conda?: {
        /** environment.yml, lock file of conda-lock, or pixi.lock (with its pixi.toml beside it) inside the source folder. */
        readonly file: string;
      };
      /** Secrets of the project by which package indexes know the build, by host: a token, or user and secret. With base only. */
      readonly credentials?: { readonly [name: string]: string | {
        /** User whose password the secret is; without one the secret is a token. */
        readonly user: string;
        /** Name of the secret. */
        readonly secret: string;
      } };
      /** Folder that becomes /app, the working directory: copied into the image with base, mounted read-only with image. */
      readonly source?: string;
      /** When a registry is asked for the image, or for what it is built from: if it is missing (default), always, or never. */
      readonly pull?: "missing" | "always" | "never";
      /** Build context of your own Dockerfile; the source folder by default. */
      readonly context?: string;
      /** Build arguments of your own Dockerfile. */
      readonly args?: { readonly [name: string]: string };
      /** Secrets of the project that your own Dockerfile may mount: RUN --mount=type=secret,id=NAME. */
      readonly secrets?: readonly (string | {
        /** Name of the secret. */
        readonly name: string;
        /** What RUN --mount=type=secret,id=… calls it. Default: the name. */
        readonly id: string;
      })[];
      /** Stage of your own Dockerfile that is the image; the last by default. */
      readonly target?: string;
      /** Variables in this environment. Templates are not replaced here. */
      readonly env?: { readonly [name: string]: string | number | boolean };
    };
    /** Steps that must have succeeded before. */
    readonly needs?: readonly string[];
    /** Runs the step once for each combination of these values. */
    readonly matrix?: { readonly [name: string]: readonly (string | number | boolean)[] };
    /** Splits an output of a step before, and runs this step once for each part. */
    readonly batch?: {
      /** An output of a step: step.output */
      readonly over: string;
      /** What is counted: lines, CSV rows, items of a JSON array, files of a folder. Default: by the output. */
      readonly format?: "auto" | "lines" | "csv" | "json" | "files";
      /** Units per item. Default: 1. */
      readonly size?: number;
      /** Items that run at once. Default: as many as the worker has room for. */
      readonly parallel?: number;
    };
    /** Condition in CEL: the step runs if it is true, else it is skipped. */
    readonly when?: string | boolean;
    /** on_failure: after the other steps, if the run has failed. finally: last, in any case. Default: main. */
    readonly phase?: "main" | "on_failure" | "finally";
    /** true: the run may succeed although this step fails. */
    readonly allow_failure?: boolean;
    /** true: one failure stops the other combinations and items of the step. false: they all go on. */
    readonly fail_fast?: boolean;
    /** Shell script, run by sh -e. */
    readonly run?: string;
    /** Program and arguments, without a shell. */
    readonly command?: readonly (string | number | boolean)[];
    /** Python function: inputs are its arguments, what it returns are the outputs. */
    readonly python?: string;
    /** TypeScript or JavaScript function: gets one object of inputs and parameters, returns the outputs. */
    readonly typescript?: string;
    /** More arguments of a function: values, and templates such as ${{ params.seed }}, which keep their type. */
    readonly args?: { readonly [name: string]: string | number | boolean | readonly (string | number | boolean)[] };
    /** Environment variables of this step. */
    readonly env?: { readonly [name: string]: string | number | boolean };
    /** Secrets of the project that the step gets, as files below /berth/secrets or as variables. */
    readonly secrets?: readonly (string | {
      /** Name of the secret. */
      readonly name: string;
      /** Environment variable that gets its value, in place of the file. */
      readonly env: string;
    })[];
    /** Outputs of other steps, below /berth/in/<name>. */
    readonly inputs?: { readonly [name: string]: string | {
      /** An output of a step: step.output */
      readonly from: string;
      /** How the outputs of a batch or matrix step are joined, in item order. Default: folder. */
      readonly gather?: "folder" | "lines" | "csv" | "json";
      /** How a function gets it. Default: the type of the output. */
      readonly type?: "file" | "folder" | "json" | "text" | "lines" | "bytes" | "csv" | "parquet" | "npy" | "npz" | "pickle" | `x-${string}`;
    } };
    /** Files and folders below /berth/out that are kept as artifacts. */
    readonly outputs?: readonly string[] | { readonly [name: string]: string | {
      /** Below /berth/out. Default: the name, with the ending of its type. */
      readonly path?: string;
      /** Default: by the ending of the path. */
      readonly type?: "file" | "folder" | "json" | "text" | "lines" | "bytes" | "csv" | "parquet" | "npy" | "npz" | "pickle" | `x-${string}`;
      /** Whether the step may succeed without it. */
      readonly optional?: boolean;
      /** always: kept after a failure too. */
      readonly when?: "success" | "always";
      /** How long versions of artifacts are kept: see docs/retention.md. */
      readonly retention?: string | {
        /** How long each version is kept: 12h, 14d, forever. Left out: only the last ones. */
        readonly keep?: string;
        /** The newest versions are kept whatever their age. */
        readonly last?: number;
      };
      /** What it is served as. Default: by the ending of the path. */
      readonly contentType?: string;
      /** Tags of each version that the step makes. */
      readonly tags?: { readonly [name: string]: string | number | boolean };
    } };
    /** What one attempt needs, and its limits. */
    readonly resources?: {
      /** Cores; 0.5 is half of one. */
      readonly cpu?: number;
      /** Such as 512MiB or 2GiB. */
      readonly memory?: string;
      /** Whole GPUs, which no other step gets meanwhile. Default: none. */
      readonly gpu?: number;
      /** What the step may write, and what must be free on its worker: 20GiB. */
      readonly disk?: string;
      /** How fast it may use disks, where its worker can hold it back. */
      readonly io?: {
        /** Bytes a second that it may read from a disk: 50MiB. */
        readonly read?: string;
        /** Bytes a second that it may write to a disk. */
        readonly write?: string;
      };
      /** How long one attempt may run: 30s, 10m, 2h. */
      readonly timeout?: string;
      /** How long the step may wait for room on the worker once it could start. */
      readonly queueTimeout?: string;
      /** How long its image may take to be pulled or built. */
      readonly imageTimeout?: string;
    };
    /** How often, and for what, a step is tried again. A number is max. */
    readonly retry?: number | {
      /** Attempts after the first. Default: 3. */
      readonly max?: number;
      /** Pause before the first of them. Default: 1s. */
      readonly delay?: string;
      /** How the pause grows. exponential (default): doubles, of which a random part is waited. */
      readonly backoff?: "exponential" | "linear" | "fixed";
      /** Longest pause. Default: 60s. */
      readonly maxDelay?: string;
      /** Fault classes and codes that are tried again. Default: application, oom, timeout. */
      readonly on?: readonly string[];
      /** How far the memory limit is raised after the step ran out of it. Default: four times the limit. */
      readonly maxMemory?: string;
      /** Attempts after faults of the platform, which do not count for max. Default: 5. */
      readonly infrastructure?: number;
    };
    /** Whether a result that was made from the same before is taken instead of running the step. */
    readonly cache?: boolean | {
      /** One more thing that results have to agree in, such as a version: v2. */
      readonly key?: string;
      /** How old a result may be. Default: any age. */
      readonly ttl?: string;
    };
    /** How steps are kept apart from their worker and from each other. A step's keys win over the pipeline's. */
    readonly isolation?: {
      /** none: without any. default: the one of the run. allow: one that reaches these only. */
      readonly network?: string | {
        /** host:port, or 10.1.0.0/16:port/udp. */
        readonly allow: readonly string[];
      };
      /** true: the step can write to its attempt folder and /tmp only. Default: false. */
      readonly read_only_root?: boolean;
      /** Profile of AppArmor, which the worker has loaded. */
      readonly apparmor?: string;
      /** Type of SELinux, such as container_t. */
      readonly selinux?: string;
      /** Runtime of the worker's engine, such as runsc (gVisor) or kata; needs network: none. */
      readonly runtime?: string;
      /** Folders of the worker, by the names that its policy gives them; read-only. */
      readonly mounts?: readonly string[];
      /** Refused: no step runs privileged, whoever asks. */
      readonly privileged?: boolean | string;
      /** Refused: a step always has namespaces of its own, never those of its worker. */
      readonly pid?: boolean | string;
      /** Refused: a step always has namespaces of its own, never those of its worker. */
      readonly ipc?: boolean | string;
      /** Refused: no step is given capabilities. */
      readonly capabilities?: boolean | string;
    };
  } };
}
