import { BerthError } from "../../protocol/errors.ts";
import type { Environment, Plan } from "../../protocol/plan.ts";
import type { Queryable } from "../store/database.ts";
import { listSecretNames } from "../store/secrets.ts";
import { howToAllow, isAllowed, unavailable } from "./give-secrets.ts";

/** Refuses a run of which a step, or a build, could not have a secret that it names, before anything is made. */
export async function requireSecrets(db: Queryable, project: string, plan: Plan): Promise<void> {
  const ofSteps = plan.steps.flatMap(({ name: step, secrets = [] }) =>
    secrets.map(({ name }, index) => ({ name, path: `steps.${step}.secrets[${index}]` })),
  );
  const ofBuilds = Object.entries(plan.environments).flatMap(([name, spec]) => secretsOf(`environments.${name}`, spec));
  const wanted = [...ofSteps, ...ofBuilds];
  if (wanted.length === 0) return;
  const known = await listSecretNames(db, project, [...new Set(wanted.map(({ name }) => name))]);
  const refused = wanted.filter(({ name }) => {
    const secret = known.get(name);
    return secret === undefined || !isAllowed(secret, plan.name);
  });
  if (refused.length === 0) return;
  const problems = refused.map(({ name, path }) => ({ path, message: unavailable(name, known.get(name), plan.name) }));
  const ways = new Set(refused.map(({ name }) => howToAllow(name, known.get(name), plan.name)));
  throw new BerthError("secret_unavailable", "The pipeline names secrets that its runs cannot have.", {
    problems,
    advice: [...ways].join("; "),
  });
}

/** Those of the build of an environment. */
function secretsOf(path: string, environment: Environment): { readonly name: string; readonly path: string }[] {
  if (environment.kind === "dockerfile") {
    return (environment.secrets ?? []).map(({ name }, index) => ({ name, path: `${path}.secrets[${index}]` }));
  }
  if (environment.kind === "image") return [];
  return Object.entries(environment.credentials ?? {}).map(([host, { secret }]) => {
    return { name: secret, path: `${path}.credentials[${JSON.stringify(host)}]` };
  });
}
