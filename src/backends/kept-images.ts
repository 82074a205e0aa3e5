/**
 * The images that a platform has because of runs: those that it pulled or built for them, and that it had not before. What
 * it had already, or what others gave a name to since, is not among them or says by `neededBy` that it is theirs.
 */
export interface KeptImages {
  list(): Promise<readonly KeptImage[]>;
  /** Removes one of them as it was listed. False: something uses it, or made it ready since, and it stays. */
  remove(image: Pick<KeptImage, "id" | "usedAtMs">): Promise<boolean>;
}

export interface KeptImage {
  readonly id: string;
  readonly names: readonly string[];
  /** With the layers that it shares with others. */
  readonly bytes: number;
  /** When it was last made ready for a run. */
  readonly usedAtMs: number;
  /** Why the platform does not part with it, for people; null: it may go. */
  readonly neededBy: string | null;
}
