"""The steps that are plain functions: Berth reads their inputs and writes what they return."""

from regions.places import keep_large_regions, parse_row

# A region needs enough places that a fifth of them can be held out.
SMALLEST_REGION = 30


def clean(rows):
    """The usable rows of the table as places, without the regions that are too small to learn."""
    parsed = [parse_row(line) for line in rows.splitlines()]
    places = [place for place in parsed if place is not None]
    kept = keep_large_regions(places, SMALLEST_REGION)
    print(f"{len(parsed)} rows, {len(places)} places, {len(kept)} in regions of at least {SMALLEST_REGION}")
    return kept


def choose(models):
    """The model that did best in cross-validation."""
    best = max(models, key=lambda model: model["accuracy"])
    print(f"{best['kind']} is best: {best['accuracy']:.1%} in cross-validation")
    return best
