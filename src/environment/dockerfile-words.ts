/**
 * Words of a Dockerfile made from a user's text. The compiler has refused anything odd before; here nothing relies on
 * that, because a plan may come from anywhere: what cannot be written safely throws.
 */

/** One argument of a command line in RUN; never an option. */
export function shellWord(text: string): string {
  if (text === "" || text.startsWith("-") || hasControl(text)) throw new TypeError(`not a safe argument: ${text}`);
  return /^[A-Za-z0-9@%_+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The inside of a quoted value in ENV, in which `$` would otherwise be replaced. */
export function environmentValue(text: string): string {
  if (hasControl(text)) throw new TypeError("a variable in an image must be one line");
  return text.replace(/[\\"$]/g, "\\$&");
}

/** A path of the context as COPY takes it in its JSON form: it expands variables, quotes and then patterns. */
export function copySource(path: string): string {
  const isSafe = path !== "" && !hasControl(path) && !path.includes("\\") && !path.split("/").includes("..");
  if (!isSafe || path.startsWith("/")) throw new TypeError(`not a path inside the context: ${path}`);
  return JSON.stringify(path.replace(/[*?[]/g, "[$&]").replace(/[$'"]/g, "\\$&"));
}

/** A folder of the image as COPY takes it: no pattern, but variables and quotes are expanded here as well. */
export function copyTarget(folder: string): string {
  if (hasControl(folder)) throw new TypeError(`not a path in an image: ${folder}`);
  return JSON.stringify(`${folder}/`.replace(/[\\$'"]/g, "\\$&"));
}

function hasControl(text: string): boolean {
  return /\p{Cc}|[\u2028\u2029]/u.test(text);
}
