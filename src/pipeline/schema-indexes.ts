import { z } from "zod";
import { mapping, record, text } from "./schema-parts.ts";
import { SecretNameText } from "./schema-secrets.ts";

/** More than any environment asks; each is a word of a command line. */
const INDEXES_MAX = 20;

const IndexUrl = text(500).regex(
  /^https?:\/\/[A-Za-z0-9.-]+(:[0-9]{1,5})?(\/[A-Za-z0-9._~%+=,:-]*)*$/,
  'is no address of a package index, such as "https://packages.example.com/simple"; who asks is said in "credentials"',
);

export const PythonIndexSpec = z
  .union([IndexUrl, z.array(IndexUrl).min(1).max(INDEXES_MAX)])
  .describe("Index that pip asks in place of PyPI; of a list, the first is, and the others are asked as well.");

export const NodeRegistrySpec = IndexUrl.describe("Registry that is asked in place of the manager's own.");

export const NodeScopesSpec = record(
  z.string().regex(/^@[a-z0-9][a-z0-9._-]{0,99}$/, 'is no scope, such as "@acme"'),
  IndexUrl,
  INDEXES_MAX,
).describe("Registries of single scopes, by @scope.");

const Credential = z.union([
  SecretNameText,
  mapping({
    user: z
      .string()
      .regex(/^[A-Za-z0-9._@+~$-]{1,200}$/, "is no name of a user")
      .describe("User whose password the secret is; without one the secret is a token."),
    secret: SecretNameText.describe("Name of the secret."),
  }),
]);

export const CredentialsSpec = record(
  z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$/, 'is no host, such as "packages.example.com"'),
  Credential,
  INDEXES_MAX,
).describe(
  "Secrets of the project by which package indexes know the build, by host: a token, or user and secret. With base only.",
);
