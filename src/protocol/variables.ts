import { z } from "zod";

/** Of an environment variable. */
export const VariableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "a variable's name holds letters, digits and '_', and starts with no digit")
  .refine((name) => !/^BERTH_/i.test(name), "names that start with BERTH_ are reserved");

const VALUE_MAX_CHARS = 32 * 1024;
/** All of a project's go into each run's row and to each worker that takes it. */
export const VARIABLES_MAX = 200;
export const VARIABLES_MAX_BYTES = 256 * 1024;

/** What a variable of a project may be: it stands as it is written, for pipelines differ in what they could refer to. */
export const VariableValue = z
  .string()
  .max(VALUE_MAX_CHARS)
  .refine((value) => !value.includes("\0"), "a variable cannot hold a NUL")
  .refine((value) => !value.includes("${{"), "templates are for `env` in a pipeline file: this value stands as it is");

/** Environment variables by name. */
export const VariableValues = z.record(z.string(), z.string());
export type VariableValues = z.infer<typeof VariableValues>;

export const SetVariableRequest = z.strictObject({ value: VariableValue });

/** A variable that every step of the project's runs is given. */
export const ProjectVariable = z.object({
  name: VariableName,
  value: z.string(),
  updatedAt: z.iso.datetime(),
  updatedBy: z.string(),
});
export type ProjectVariable = z.infer<typeof ProjectVariable>;

/** Where a variable may be set, from what yields to what wins. */
export const VARIABLE_LEVELS = ["project", "pipeline", "environment", "step"] as const;
export const VariableLevel = z.enum(VARIABLE_LEVELS);
export type VariableLevel = z.infer<typeof VariableLevel>;

/** What a step gets under a name, and what it would have got otherwise: the last that was overridden first. */
export const StepVariable = z.object({
  name: z.string(),
  value: z.string(),
  from: VariableLevel,
  overrides: z.array(z.object({ from: VariableLevel, value: z.string() })),
});
export type StepVariable = z.infer<typeof StepVariable>;

/** Of a run, as they were fixed when it was created. */
export const RunVariables = z.object({
  project: VariableValues,
  steps: z.array(z.object({ step: z.string(), variables: z.array(StepVariable) })),
});
export type RunVariables = z.infer<typeof RunVariables>;
