"""Predicts the region of each place in this part of the batch."""

from regions.models import predict
from regions.places import point
from regions.step_files import read_csv, read_json, write_csv


def main():
    model = read_json("model")
    rows = [{**place, "predicted": predict(model, point(place))} for place in read_csv("batch")]
    write_csv("predictions.csv", rows)
    right = sum(row["predicted"] == row["region"] for row in rows)
    print(f"{right} of {len(rows)} right")


if __name__ == "__main__":
    main()
