"""Where a step finds its inputs and puts its outputs."""

import csv
import json
import os

INPUTS = os.environ.get("BERTH_IN", "/berth/in")
OUTPUTS = os.environ.get("BERTH_OUT", "/berth/out")


def read_csv(name):
    with open(os.path.join(INPUTS, name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(name):
    with open(os.path.join(INPUTS, name), encoding="utf-8") as file:
        return json.load(file)


def write_csv(name, rows):
    with open(os.path.join(OUTPUTS, name), "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_json(name, value):
    with open(os.path.join(OUTPUTS, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
