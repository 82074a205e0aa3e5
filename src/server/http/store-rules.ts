import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { ArtifactType } from "../../protocol/plan.ts";
import { RulesOfProject, retentionText, SetRuleRequest, SettingsScope } from "../../protocol/retention.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { deleteRule, listRules, noteRuleChange, putRule, type RuleKey } from "../store/retention-rules.ts";
import { nameOf } from "./callers.ts";
import { defineRoute, type Principal, type Route } from "./route.ts";

/** What is said of how long versions are kept, outside of pipeline files. */
export function storeRulesRoutes({ database }: Pick<Services, "database">): Route[] {
  return [
    defineRoute({
      method: "GET",
      path: "/store/rules",
      access: { kind: "role", role: "viewer" },
      summary: "How long versions are kept: what the project and the installation say",
      tag: "store",
      schemas: { response: RulesOfProject },
      handler: async ({ project }) => {
        const rules = await listRules(database.pool, project);
        return {
          items: rules.map(({ keepMs, last, changedAt, ...rule }) => ({
            ...rule,
            rule: { keepMs, last, text: retentionText({ keepMs, last }) },
            changedAt: changedAt.toISOString(),
          })),
        };
      },
    }),
    defineRoute({
      method: "PUT",
      path: "/store/rules",
      access: { kind: "role", role: "operator" },
      audit: "retention.set",
      summary: "Say how long versions are kept: of a type, of an artifact, of the project, or of the installation",
      tag: "store",
      schemas: { body: SetRuleRequest, response: RulesOfProject.shape.items.element },
      errors: ["forbidden"],
      handler: async ({ body: { scope, subject = "", rule }, principal, project }) => {
        const key = keyOf(principal, project, scope, subject);
        if (scope === "type") requireType(subject);
        const by = nameOf(principal);
        await database.transaction(async (client) => {
          await putRule(client, key, rule, by);
          await recordAudit(client, { ...audited(key), action: "retention.set", details: { ...rule } });
          await noteRuleChange(client, key.project);
        });
        return {
          ...{ scope, subject, changedBy: by, changedAt: new Date().toISOString() },
          rule: { ...rule, text: retentionText(rule) },
        };
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/store/rules",
      access: { kind: "role", role: "operator" },
      audit: "retention.remove",
      summary: "Take a rule back: what is less specific holds again",
      tag: "store",
      schemas: { query: z.object({ scope: SettingsScope, subject: z.string().max(300).optional() }), response: null },
      errors: ["forbidden", "not_found"],
      handler: async ({ query: { scope, subject = "" }, principal, project }) => {
        const key = keyOf(principal, project, scope, subject);
        await database.transaction(async (client) => {
          if (!(await deleteRule(client, key))) {
            throw new BerthError(
              "not_found",
              `There is no rule of the scope ${scope}${subject === "" ? "" : ` for ${subject}`}.`,
              {
                advice: "`berth store rules` lists them.",
              },
            );
          }
          await recordAudit(client, { ...audited(key), action: "retention.remove" });
          await noteRuleChange(client, key.project);
        });
      },
    }),
  ];
}

function audited({ project, scope, subject }: RuleKey): { project: string | null; subject: string } {
  return { project, subject: subject === "" ? scope : `${scope} ${subject}` };
}

/** A rule for a type that no output can have would never hold. */
function requireType(type: string): void {
  if (ArtifactType.safeParse(type).success) return;
  throw new BerthError("invalid_request", `There is no type ${type}.`, {
    advice: `Types are ${ArtifactType.options[0].options.join(", ")}, and x-name for those of your own.`,
  });
}

/** What the installation says is for whoever has all of it. */
function keyOf(principal: Principal, project: string, scope: SettingsScope, subject: string): RuleKey {
  const needsSubject = scope === "type" || scope === "artifact";
  if (needsSubject !== (subject !== "")) {
    const what = needsSubject ? "needs a subject: which type, or which pipeline/step/artifact" : "has no subject";
    throw new BerthError("invalid_request", `A rule of the scope ${scope} ${what}.`);
  }
  if (scope !== "installation") return { project, scope, subject };
  if (principal.kind === "token" && principal.project === null) return { project: null, scope, subject };
  throw new BerthError("forbidden", "What the installation says is changed with a token of the whole installation.", {
    advice: "Set a rule of the project instead.",
  });
}
