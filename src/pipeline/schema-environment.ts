import { z } from "zod";
import { PullPolicy } from "../protocol/plan.ts";
import { CredentialsSpec, NodeRegistrySpec, NodeScopesSpec, PythonIndexSpec } from "./schema-indexes.ts";
import { mapping, record, relativePath, text, Variables } from "./schema-parts.ts";
import { BuildSecretsSpec } from "./schema-secrets.ts";

/** Anything that an engine takes as an image; nothing that could start a second instruction of a Dockerfile. */
const ImageReference = text(300).regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]*$/, "is no image reference");
const Package = (pattern: RegExp, example: string) =>
  text(200).regex(pattern, `is no package name, such as ${example}; options are not allowed`);
/** Letters, digits and dots on both ends: a trailing '-' would make apt-get remove the package. */
const AptPackage = Package(
  /^[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[A-Za-z0-9.+:~-]*[A-Za-z0-9+~])?$/,
  '"git" or "jq=1.6-2.1"',
);
const VERSION = "(===|==|>=|<=|~=|!=|<|>) ?[A-Za-z0-9.*+!_-]+";
const PythonPackage = Package(
  new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]*(\\[[A-Za-z0-9._, -]+\\])? ?(${VERSION}( ?, ?${VERSION})*)?$`),
  '"numpy" or "numpy>=2,<3"',
);
const NodePackage = Package(
  /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*(@[A-Za-z0-9.^~*+_<>=-]+)?$/,
  '"zod" or "zod@4.1.0"',
);
const SourcePath = relativePath("the source folder");
const SourceFolder = relativePath("the source folder", { orRoot: true });
const packages = (item: z.ZodString) => z.array(item).min(1).max(500);

/** One of three kinds, told apart by `base`, `image` or `dockerfile`: see environments.ts for what goes with which. */
export const EnvironmentSpec = mapping({
  base: ImageReference.optional().describe("Image that the generated Dockerfile starts from."),
  image: ImageReference.optional().describe("Ready image, used as it is."),
  dockerfile: SourcePath.optional().describe("Your own Dockerfile, inside the source folder."),
  apt: packages(AptPackage).optional().describe("Debian packages. With base only."),
  python: mapping({
    requirements: SourcePath.optional().describe("requirements.txt inside the source folder."),
    lockfile: SourcePath.regex(/(^|\/)uv\.lock$/, "must name a uv.lock")
      .optional()
      .describe("uv.lock inside the source folder, with its pyproject.toml beside it: uv sync --locked."),
    packages: packages(PythonPackage).optional().describe("Packages by name, such as numpy>=2."),
    index: PythonIndexSpec.optional(),
  })
    .optional()
    .describe("Python packages, installed by pip or, from a uv.lock, by uv. With base only."),
  node: mapping({
    lockfile: SourcePath.regex(
      /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock)$/,
      "must name a package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml or yarn.lock",
    )
      .optional()
      .describe("Lock file of npm, pnpm or yarn inside the source folder, with its package.json beside it."),
    manager: z
      .string()
      .regex(/^(pnpm|yarn)@[0-9]+\.[0-9]+\.[0-9]+$/, 'is no exact version, such as "pnpm@10.34.8"')
      .optional()
      .describe("Version of pnpm or yarn that installs; by default one that Berth knows."),
    packages: packages(NodePackage).optional().describe("Packages by name, such as zod@4."),
    registry: NodeRegistrySpec.optional(),
    scopes: NodeScopesSpec.optional(),
  })
    .optional()
    .describe("Node packages, installed by the manager of the lock file, or npm. With base only."),
  conda: mapping({
    file: SourcePath.regex(
      /\.(ya?ml|lock)$/,
      "must name an environment.yml, a lock file of conda-lock, or a pixi.lock",
    ).describe(
      "environment.yml, lock file of conda-lock, or pixi.lock (with its pixi.toml beside it) inside the source folder.",
    ),
  })
    .optional()
    .describe("Conda packages; the base image brings micromamba, conda or pixi. With base only."),
  credentials: CredentialsSpec.optional(),
  source: SourceFolder.optional().describe(
    "Folder that becomes /app, the working directory: copied into the image with base, mounted read-only with image.",
  ),
  pull: PullPolicy.optional().describe(
    "When a registry is asked for the image, or for what it is built from: if it is missing (default), always, or never.",
  ),
  context: SourceFolder.optional().describe("Build context of your own Dockerfile; the source folder by default."),
  args: record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "is no name of a build argument"),
    z.string().max(4096),
    100,
  )
    .optional()
    .describe("Build arguments of your own Dockerfile."),
  secrets: BuildSecretsSpec.optional(),
  target: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,127}$/, "is no name of a stage")
    .optional()
    .describe("Stage of your own Dockerfile that is the image; the last by default."),
  env: Variables.optional().describe("Variables in this environment. Templates are not replaced here."),
}).describe("How an image is made: a recipe (base), a ready image (image), or your own Dockerfile (dockerfile).");
export type EnvironmentSpec = z.infer<typeof EnvironmentSpec>;
