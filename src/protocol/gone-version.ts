import type { ArtifactVersion } from "./resources.ts";

type GoneVersion = Pick<ArtifactVersion, "pipeline" | "step" | "name" | "version" | "item" | "run"> & {
  readonly expired: NonNullable<ArtifactVersion["expired"]>;
};

/** What is said of a version whose content is gone, and what can be done about it. */
export function goneWords(version: GoneVersion): { readonly message: string; readonly advice: string } {
  const { pipeline, step, name, item, run, expired } = version;
  const what = `${pipeline}/${step}/${name}/${version.version}${item === "" ? "" : ` (item ${item})`}`;
  return {
    message: `The content of ${what} is gone since ${expired.at}: ${expired.by}.`,
    advice:
      `It is made again by: berth restart ${pipeline}#${run.number} --from ${step}. ` +
      "A longer `retention` in the pipeline file, or `berth artifacts pin`, keeps the next one.",
  };
}
