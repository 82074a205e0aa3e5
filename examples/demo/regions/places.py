"""The time zone table as places: a name, a point on the globe, and the region that its zone is filed under."""

import math
import re
from collections import Counter

# ISO 6709, as the table writes it: ±DDMM±DDDMM or ±DDMMSS±DDDMMSS.
COORDINATES = re.compile(r"^([+-])(\d{2})(\d{2})(\d{2})?([+-])(\d{3})(\d{2})(\d{2})?$")


def parse_row(line):
    """One row of the table as a place, or None when it is not a row."""
    columns = line.rstrip("\n").split("\t")
    if len(columns) < 3 or "/" not in columns[2]:
        return None
    match = COORDINATES.match(columns[1])
    if match is None:
        return None
    region, city = columns[2].split("/", 1)
    return {
        "city": city.split("/")[-1].replace("_", " "),
        "country": columns[0],
        "latitude": round(_degrees(*match.groups()[:4]), 4),
        "longitude": round(_degrees(*match.groups()[4:]), 4),
        "region": region,
    }


def _degrees(sign, degrees, minutes, seconds):
    value = int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -value if sign == "-" else value


def keep_large_regions(places, smallest):
    """Drops regions with too few places to learn from, such as the one place filed under Arctic."""
    counts = Counter(place["region"] for place in places)
    return [place for place in places if counts[place["region"]] >= smallest]


def point(place):
    """The place on the unit sphere, so that 179° east and 179° west are neighbours."""
    latitude = math.radians(float(place["latitude"]))
    longitude = math.radians(float(place["longitude"]))
    return (
        math.cos(latitude) * math.cos(longitude),
        math.cos(latitude) * math.sin(longitude),
        math.sin(latitude),
    )
