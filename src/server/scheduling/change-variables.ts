import { BerthError } from "../../protocol/errors.ts";
import { VARIABLES_MAX, VARIABLES_MAX_BYTES } from "../../protocol/variables.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { deleteVariable, lockVariables, setVariable, sizeOfVariables } from "../store/variables.ts";

/** For runs that are created from now on; those that are there keep what they were created with. */
export async function changeVariable(
  { database }: Pick<Services, "database">,
  { project, by }: { readonly project: string; readonly by: string },
  { name, value }: { readonly name: string; readonly value: string },
): Promise<void> {
  await database.transaction(async (client) => {
    await lockVariables(client, project);
    await setVariable(client, { project, name, value, by });
    await recordAudit(client, { project, action: "variable.set", subject: name });
    const { count, bytes } = await sizeOfVariables(client, project);
    if (count <= VARIABLES_MAX && bytes <= VARIABLES_MAX_BYTES) return;
    throw new BerthError(
      "quota_exceeded",
      `A project has at most ${VARIABLES_MAX} variables of ${VARIABLES_MAX_BYTES / 1024} KiB in all.`,
      {
        advice: "Remove some with `berth env rm`; what is large belongs into a file or an artifact.",
        details: { count, bytes },
      },
    );
  });
}

export async function removeVariable(
  { database }: Pick<Services, "database">,
  project: string,
  name: string,
): Promise<void> {
  await database.transaction(async (client) => {
    await lockVariables(client, project);
    if (!(await deleteVariable(client, project, name))) throw noVariable(name);
    await recordAudit(client, { project, action: "variable.remove", subject: name });
  });
}

export function noVariable(name: string): BerthError {
  return new BerthError("not_found", `There is no variable ${name}.`, {
    advice: `\`berth env ls\` lists them; make it: berth env set ${name}=…`,
  });
}
