/**
 * A folder name for one item of a batch or matrix, such as `7` or `model=knn`. Values of a matrix are free text, so
 * that whatever could leave the folder or trouble a shell is written as `_`.
 */
export function itemFolder(item: string): string {
  const safe = item.replace(/[^A-Za-z0-9._=,-]/g, "_").slice(0, 200);
  return safe === "." || safe === ".." || safe === "" ? "_" : safe;
}
