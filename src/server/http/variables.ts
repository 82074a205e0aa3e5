import { z } from "zod";
import { stepVariables } from "../../pipeline/step-variables.ts";
import { ProjectVariable, RunVariables, SetVariableRequest, VariableName } from "../../protocol/variables.ts";
import { changeVariable, noVariable, removeVariable } from "../scheduling/change-variables.ts";
import { unknownStep } from "../scheduling/unknown-step.ts";
import type { Services } from "../services.ts";
import { findVersion } from "../store/pipelines.ts";
import { originalRun } from "../store/restarts.ts";
import { findVariable, listVariables } from "../store/variables.ts";
import { nameOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

const VariableParams = z.object({ variable: VariableName });

/** Environment variables of the project, and what the steps of a run were given under each name. */
export function variableRoutes(services: Pick<Services, "database">): Route[] {
  const { pool } = services.database ?? {};
  return [
    defineRoute({
      method: "GET",
      path: "/variables",
      access: { kind: "role", role: "viewer" },
      summary: "List the project's environment variables by name",
      tag: "variables",
      schemas: { response: z.object({ items: z.array(ProjectVariable) }) },
      handler: async ({ project }) => ({ items: await listVariables(pool, project) }),
    }),
    defineRoute({
      method: "PUT",
      path: "/variables/:variable",
      access: { kind: "role", role: "operator" },
      audit: "variable.set",
      summary: "Set an environment variable for the steps of runs that are created from now on",
      tag: "variables",
      schemas: { params: VariableParams, body: SetVariableRequest, response: ProjectVariable },
      errors: ["quota_exceeded"],
      handler: async ({ params: { variable: name }, body: { value }, project, principal }) => {
        await changeVariable(services, { project, by: nameOf(principal) }, { name, value });
        const set = await findVariable(pool, project, name);
        if (set === null) throw noVariable(name);
        return set;
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/variables/:variable",
      access: { kind: "role", role: "operator" },
      audit: "variable.remove",
      summary: "Remove an environment variable; runs that are there keep it",
      tag: "variables",
      schemas: { params: VariableParams, response: null },
      handler: async ({ params: { variable }, project }) => removeVariable(services, project, variable),
    }),
    defineRoute({
      method: "GET",
      path: "/runs/:run/variables",
      access: { kind: "role", role: "viewer" },
      summary: "The environment variables of a run's steps, where each comes from, and what it overrides",
      tag: "runs",
      schemas: {
        params: RunParams,
        query: z.object({ step: z.string().max(600).optional() }),
        response: RunVariables,
      },
      errors: ["invalid_params"],
      handler: async ({ params, query: { step: wanted }, project }) => {
        const id = await runIdOf(pool, project, params.run);
        const run = await originalRun(pool, project, id);
        const { plan } = (await findVersion(pool, project, run.pipeline, run.pipelineVersion))!;
        const { variables } = run;
        const steps = plan.steps.filter(({ name }) => wanted === undefined || name === wanted);
        if (wanted !== undefined && steps.length === 0) {
          throw unknownStep(
            `${run.pipeline}#${run.number}`,
            wanted,
            plan.steps.map(({ name }) => name),
          );
        }
        const shown = steps.map((step) => ({ step: step.name, variables: stepVariables(plan, step, variables) }));
        return { project: variables, steps: shown };
      },
    }),
  ];
}
