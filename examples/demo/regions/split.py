"""Holds out a fifth of the places of each region for the test."""

import argparse
import random

from regions.step_files import read_csv, write_csv

HELD_OUT = 0.2


def split(places, seed):
    by_region = {}
    for place in places:
        by_region.setdefault(place["region"], []).append(place)
    chooser = random.Random(seed)
    train, test = [], []
    for _, group in sorted(by_region.items()):
        chooser.shuffle(group)
        held_out = round(len(group) * HELD_OUT)
        test += group[:held_out]
        train += group[held_out:]
    chooser.shuffle(test)
    return train, test


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    seed = parser.parse_args().seed
    train, test = split(read_csv("places"), seed)
    write_csv("train.csv", train)
    write_csv("test.csv", test)
    print(f"{len(train)} places to learn from, {len(test)} held out (seed {seed})")


if __name__ == "__main__":
    main()
