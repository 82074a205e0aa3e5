"""Three classifiers over points. Each is a plain dictionary once fitted, so that it can be written as JSON."""

import math
from collections import Counter

NEIGHBOURS = 5
# Keeps a feature that hardly varies within a region from dividing by nothing.
SMALLEST_VARIANCE = 1e-4


def fit(kind, points, regions):
    """Learns from points and their regions; `kind` is one of MODELS."""
    return {"kind": kind, **MODELS[kind][0](points, regions)}


def predict(model, point):
    """The region that the fitted model takes the point to be in."""
    return MODELS[model["kind"]][1](model, point)


def _fit_neighbours(points, regions):
    return {"points": [list(point) for point in points], "regions": list(regions)}


def _predict_neighbours(model, point):
    by_distance = sorted(range(len(model["points"])), key=lambda index: _distance(model["points"][index], point))
    votes = Counter(model["regions"][index] for index in by_distance[:NEIGHBOURS])
    return votes.most_common(1)[0][0]


def _fit_centroids(points, regions):
    return {"centroids": {region: _mean(group) for region, group in _grouped(points, regions)}}


def _predict_centroid(model, point):
    return min(model["centroids"], key=lambda region: _distance(model["centroids"][region], point))


def _fit_bayes(points, regions):
    return {
        "regions": {
            region: {"prior": len(group) / len(points), "mean": _mean(group), "variance": _variance(group)}
            for region, group in _grouped(points, regions)
        }
    }


def _predict_bayes(model, point):
    return max(model["regions"], key=lambda region: _log_likelihood(model["regions"][region], point))


def _log_likelihood(region, point):
    total = math.log(region["prior"])
    for value, mean, variance in zip(point, region["mean"], region["variance"]):
        total -= 0.5 * math.log(2 * math.pi * variance) + (value - mean) ** 2 / (2 * variance)
    return total


def _grouped(points, regions):
    groups = {}
    for point, region in zip(points, regions):
        groups.setdefault(region, []).append(point)
    return sorted(groups.items())


def _mean(points):
    return [sum(values) / len(points) for values in zip(*points)]


def _variance(points):
    mean = _mean(points)
    return [
        max(SMALLEST_VARIANCE, sum((value - centre) ** 2 for value in values) / len(points))
        for values, centre in zip(zip(*points), mean)
    ]


def _distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other))


MODELS = {
    "neighbours": (_fit_neighbours, _predict_neighbours),
    "centroids": (_fit_centroids, _predict_centroid),
    "bayes": (_fit_bayes, _predict_bayes),
}
