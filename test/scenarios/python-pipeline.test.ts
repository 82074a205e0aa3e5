import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ScenarioPlatform } from "./platform.ts";

/** A pipeline that somebody wrote in Python, from the file to its results. */

const platform = new ScenarioPlatform();
after(async () => {
  await platform[Symbol.asyncDispose]();
});

const PIPELINE = `
import dataclasses
from typing import Annotated, List, NamedTuple

import berth
from helpers.words import shout


@dataclasses.dataclass
class Model:
    factor: int
    error: float = 0.0


class Sets(NamedTuple):
    train: Annotated[list, "csv"]
    test: Annotated[list, "csv"]


@berth.step
def prepare(count: int) -> Sets:
    rows = [{"x": n, "y": 3 * n} for n in range(1, count + 1)]
    return Sets(train=rows[: count // 2], test=rows[count // 2 :])


@berth.step(matrix={"factor": [2, 3]})
def train(rows: list, factor: int) -> Model:
    error = sum(abs(int(row["y"]) - factor * int(row["x"])) for row in rows)
    berth.metric("error", error)
    berth.progress(len(rows), len(rows))
    return Model(factor, error)


@berth.step
def choose(models: List[Model]) -> Model:
    return min(models, key=lambda model: model.error)


@berth.step
def score(batch, model: Model, batch_index: int) -> Annotated[list, "csv"]:
    berth.log.info("scored", rows=len(batch), part=batch_index)
    return [{"x": row["x"], "right": int(row["y"]) == model.factor * int(row["x"])} for row in batch]


@berth.step(outputs="report.txt")
def report(scores: list, model: Model) -> str:
    right = sum(score["right"] == "true" for score in scores)
    return shout(f"factor {model.factor}: {right} of {len(scores)} right\\n")


with berth.Pipeline("fit", params={"count": 20}) as fit:
    sets = prepare()
    model = choose(train(sets.train))
    scores = score(sets.test.split(size=3, parallel=2), model)
    made = report(scores, model)
    fit.shell("count", 'wc -c < "$BERTH_INPUT_TEXT" > "$BERTH_OUTPUT_SIZE"', inputs={"text": made}, outputs={"size": "size.txt"})
`;

test("a pipeline in Python runs as it is: matrix, batch, dataclasses, a module beside it, and a shell step", async () => {
  platform.write("fit.py", PIPELINE);
  platform.write("helpers/words.py", "def shout(text):\n    return text.upper()\n");
  const ran = await platform.berth("run", "fit.py", "--backend", "process", "--param", "count=22");
  assert.equal(ran.code, 0, `${ran.stdout}\n${ran.stderr}`);
  assert.equal(await text("fit/report/report"), "FACTOR 3: 11 OF 11 RIGHT\n");
  assert.equal((await text("fit/count/size")).trim(), "25");
  assert.match(ran.stdout, /train\[factor=2\] error +66\b/, "the metric is in the summary");
  const listed = JSON.parse((await platform.berth("artifacts", "ls", "--json")).stdout) as { step: string }[];
  assert.partialDeepStrictEqual(listed, [{ step: "prepare", name: "train", format: "csv", contentType: "text/csv" }]);
  await platform.tidy();
});

test("a step's refusal of its own declaration is the run's fault, in its words", async () => {
  platform.write(
    "bad.py",
    "import berth\n@berth.step\ndef make() -> dict: return 'no dictionary'\n@berth.step\ndef read(given: dict): ...\nwith berth.Pipeline('bad'): read(make())\n",
  );
  const ran = await platform.berth("run", "bad.py", "--backend", "process");
  assert.equal(ran.code, 1, ran.stdout);
  assert.match(ran.stdout, /the input 'given' cannot be read as json: expected dict, found a text/);
  await platform.tidy();
});

async function text(artifact: string): Promise<string> {
  const folder = join(platform.folder, artifact.replaceAll("/", "-"));
  const { code, stderr } = await platform.berth("artifacts", "get", artifact, "-o", folder);
  assert.equal(code, 0, stderr);
  return readFileSync(join(folder, readdirSync(folder)[0]!), "utf8");
}
