"""Gathers everything into a report for people and figures for programs."""

from collections import Counter

from regions.step_files import OUTPUTS, read_csv, read_json, write_json


def main():
    models = sorted(read_json("models"), key=lambda model: -model["accuracy"])
    predictions = read_csv("predictions")
    metrics = {
        "model": models[0]["kind"],
        "places": len(predictions),
        "accuracy": sum(row["predicted"] == row["region"] for row in predictions) / len(predictions),
        "cross_validation": {model["kind"]: model["accuracy"] for model in models},
    }
    write_json("metrics.json", metrics)
    with open(f"{OUTPUTS}/report.md", "w", encoding="utf-8") as file:
        file.write(report(metrics, predictions))
    print(f"{metrics['model']}: {metrics['accuracy']:.1%} of {metrics['places']} held-out places right")


def report(metrics, predictions):
    lines = [
        "# Which region is it?",
        "",
        f"The model **{metrics['model']}** put **{metrics['accuracy']:.1%}** of {metrics['places']} places that it had "
        "never seen into the right region, by their coordinates alone.",
        "",
        "| model | right in cross-validation |",
        "|---|---:|",
        *[f"| {kind} | {accuracy:.1%} |" for kind, accuracy in metrics["cross_validation"].items()],
        "",
        *confusion(predictions),
        "",
        *mistakes(predictions),
    ]
    return "\n".join(lines) + "\n"


def confusion(predictions):
    regions = sorted({row["region"] for row in predictions})
    counts = Counter((row["region"], row["predicted"]) for row in predictions)
    yield "| really ↓, taken for → | " + " | ".join(regions) + " |"
    yield "|---" * (len(regions) + 1) + "|"
    for region in regions:
        yield f"| {region} | " + " | ".join(str(counts[region, other]) for other in regions) + " |"


def mistakes(predictions):
    wrong = [row for row in predictions if row["predicted"] != row["region"]]
    if not wrong:
        yield "No place was put into the wrong region."
        return
    yield "Put into the wrong region:"
    yield ""
    for row in wrong:
        yield f"- {row['city']} ({row['country']}): filed under {row['region']}, taken for {row['predicted']}"


if __name__ == "__main__":
    main()
