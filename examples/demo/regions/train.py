"""Trains one model on all training places, and says by cross-validation how good it is."""

import argparse

from regions.models import MODELS, fit, predict
from regions.places import point
from regions.step_files import read_csv, write_json

FOLDS = 5


def cross_validate(kind, points, regions):
    """The share of places that a model gets right that has not seen them."""
    right = 0
    for fold in range(FOLDS):
        seen = [index for index in range(len(points)) if index % FOLDS != fold]
        model = fit(kind, [points[index] for index in seen], [regions[index] for index in seen])
        unseen = range(fold, len(points), FOLDS)
        right += sum(predict(model, points[index]) == regions[index] for index in unseen)
    return right / len(points)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, required=True)
    kind = parser.parse_args().model
    places = read_csv("places")
    points = [point(place) for place in places]
    regions = [place["region"] for place in places]
    accuracy = cross_validate(kind, points, regions)
    write_json("model.json", {**fit(kind, points, regions), "accuracy": accuracy})
    print(f"{kind}: {accuracy:.1%} right in {FOLDS}-fold cross-validation over {len(places)} places")


if __name__ == "__main__":
    main()
