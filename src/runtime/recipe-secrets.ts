import { BackendError } from "../backends/execution-backend.ts";
import type { BuildSecrets } from "../backends/image-request.ts";
import {
  type CredentialFile,
  CredentialProblem,
  credentialFiles,
  credentialText,
} from "../environment/credential-files.ts";
import type { Recipe } from "../environment/dockerfile.ts";
import { fault } from "../protocol/faults.ts";
import type { ImageOrder } from "./image-request.ts";

const ADVICE = "Have the index make a token without such characters, and set the secret again.";

/** What the build of a recipe mounts: files of installers, made of the values when the builder asks for one. */
export function recipeSecrets(
  recipe: Recipe,
  secretsFor: ImageOrder["secretsFor"],
): { readonly secrets?: BuildSecrets } {
  const ids = credentialFiles(recipe);
  if (ids.length === 0) return {};
  const names = [...new Set(Object.values(recipe.credentials!).map(({ secret }) => secret))];
  const values = secretsFor(names.map((name) => ({ name, id: name })));
  return {
    secrets: {
      ids,
      read: async (id) => {
        const read = new Map<string, string>();
        for (const name of names) read.set(name, Buffer.from(await values.read(name)).toString("utf8"));
        return Buffer.from(textOf(id as CredentialFile, recipe, read));
      },
    },
  };
}

function textOf(file: CredentialFile, recipe: Recipe, values: ReadonlyMap<string, string>): string {
  try {
    return credentialText(file, recipe, (name) => values.get(name)!);
  } catch (error) {
    if (!(error instanceof CredentialProblem)) throw error;
    throw new BackendError("spec-unsupported", fault("spec-invalid", error.message, { advice: ADVICE }), {
      cause: error,
    });
  }
}
