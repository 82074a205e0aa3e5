import { repositoryOf } from "../../std/image-repository.ts";
import type { KeptImage, KeptImages } from "../kept-images.ts";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";
import type { InspectedImage, ListedImage } from "./engine-types.ts";
import type { ImageNote, ImageNotes } from "./image-notes.ts";

/** What is left of an image whose last name moved on; the engine lists it under this. */
const NO_NAME = "<none>";

/** The images that an engine has because of runs, as their notes say. */
export class EngineImages implements KeptImages {
  readonly #engine: () => Promise<Engine>;
  readonly #notes: ImageNotes;

  constructor(engine: () => Promise<Engine>, notes: ImageNotes) {
    this.#engine = engine;
    this.#notes = notes;
  }

  async list(): Promise<KeptImage[]> {
    const engine = await this.#engine();
    const notes = this.#notes.all();
    if (notes.length === 0) return [];
    const images = new Map((await engine.listImages()).map((image) => [image.Id, image]));
    const used = new Set((await engine.listContainers([])).map(({ ImageID }) => ImageID));
    const parents = new Set([...images.values()].map(({ ParentId }) => ParentId));
    return notes.flatMap((note): KeptImage[] => {
      const image = images.get(note.id);
      if (image === undefined) {
        // Somebody removed it: should it come back, it is not by this note.
        this.#notes.remove(note.id);
        return [];
      }
      const neededBy = used.has(note.id)
        ? "a container"
        : parents.has(note.id)
          ? "an image that was made from it"
          : foreignName(image, note);
      const { id, usedAtMs } = note;
      return [{ id, names: namesOf(image), bytes: image.Size, usedAtMs, neededBy }];
    });
  }

  /** Name by name and never by force: the engine itself refuses what a container uses. */
  async remove({ id, usedAtMs }: Pick<KeptImage, "id" | "usedAtMs">): Promise<boolean> {
    const engine = await this.#engine();
    const note = this.#notes.read(id);
    if (note === null || note.usedAtMs > usedAtMs) return false;
    try {
      const image = await engine.inspectImage(id);
      if (foreignName(image, note) !== null) return false;
      const names = namesOf(image);
      for (const name of names.length === 0 ? [id] : names) await engine.removeImage(name).catch(ignoreMissing);
      await engine.inspectImage(id);
      return false;
    } catch (error) {
      if (isStatus(error, 409)) return false;
      ignoreMissing(error);
      this.#notes.remove(id);
      return true;
    }
  }
}

/** The tags of an image; the digests of its repositories where it has none. */
function namesOf({ RepoTags, RepoDigests }: Pick<InspectedImage, "RepoTags" | "RepoDigests">): string[] {
  const isName = (name: string) => !name.startsWith(NO_NAME);
  const tags = (RepoTags ?? []).filter(isName);
  return tags.length > 0 ? tags : (RepoDigests ?? []).filter(isName);
}

/** A name that no run gave the image; a digest of a repository comes with every name in it. */
function foreignName(image: Pick<ListedImage, "RepoTags" | "RepoDigests">, { names }: ImageNote): string | null {
  const repositories = new Set(names.map(repositoryOf));
  const isOurs = (name: string) => (name.includes("@") ? repositories.has(repositoryOf(name)) : names.includes(name));
  const foreign = namesOf(image).find((name) => !isOurs(name));
  return foreign === undefined ? null : `the name ${foreign}`;
}

function ignoreMissing(error: unknown): void {
  if (!isStatus(error, 404)) throw error;
}
