import { z } from "zod";
import { SECRET_NAME_PATTERN } from "../protocol/secrets.ts";
import { VariableName } from "../protocol/variables.ts";
import { mapping } from "./schema-parts.ts";

/** Of one step. */
const SECRETS_MAX = 100;

export const SecretNameText = z
  .string()
  .regex(SECRET_NAME_PATTERN, "a secret's name holds at most 128 letters, digits or '_', and starts with no digit");

/** Of one environment. */
export const BuildSecretsSpec = z
  .array(
    z.union([
      SecretNameText,
      mapping({
        name: SecretNameText.describe("Name of the secret."),
        id: z
          .string()
          .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, "is no id of a mount")
          .describe("What RUN --mount=type=secret,id=… calls it. Default: the name."),
      }),
    ]),
  )
  .min(1)
  .max(SECRETS_MAX)
  .describe("Secrets of the project that your own Dockerfile may mount: RUN --mount=type=secret,id=NAME.");

export const SecretsSpec = z
  .array(
    z.union([
      SecretNameText,
      mapping({
        name: SecretNameText.describe("Name of the secret."),
        env: VariableName.describe("Environment variable that gets its value, in place of the file."),
      }),
    ]),
  )
  .max(SECRETS_MAX)
  .describe("Secrets of the project that the step gets, as files below /berth/secrets or as variables.");
