"""The behaviours of sdk/contract/README.md in Python."""

import asyncio
import sys
import tempfile
from pathlib import Path

import berth


class Upper(str):
    """A value of the type x-upper."""


berth.register_type(
    "x-upper",
    load=lambda path: Upper(path.read_text(encoding="utf-8").lower()),
    save=lambda path, value: path.write_text(value.upper(), encoding="utf-8"),
    describe=lambda value: {"length": len(value)},
    content_type="text/x-upper",
    python_type=Upper,
)


def echo(data):
    return data


def pair(a, b):
    return a, b


def named(a, b):
    return {"b": b, "a": a}


def extra(a):
    return {"a": a, "c": 1}


def partial(a):
    return {"a": a}


def three():
    return 1, 2, 3


def nothing():
    return None


def seven():
    return 7


def text():
    return "x"


def not_a_number():
    return float("nan")


def unwritable():
    return object()


def cells():
    return [
        {"none": None, "yes": True, "no": False, "count": 12, "half": 0.5, "nan": float("nan"), "quoted": 'a,"b"'},
    ]


def nested_cell():
    return [{"a": [1]}]


def broken_line():
    return ["a", "b\nc"]


def values(seed, model, rate=0.5):
    return {"seed": seed, "model": model, "rate": rate}


def unknown(nowhere):
    return nowhere


def maybe(data="none given"):
    return data


def part(batch, batch_index, batch_count):
    return {"index": batch_index, "count": batch_count, "items": batch}


def part_path(batch):
    return names(batch)


def whole_batch():
    batch = berth.batch()
    return {"index": batch.index, "count": batch.count, "items": list(batch)}


def no_batch():
    return berth.batch() is None


def writes_file():
    berth.output_path("out").write_text("mine", encoding="utf-8")


def returns_path():
    path = Path(tempfile.gettempdir(), "made.txt")
    path.write_text("made", encoding="utf-8")
    return path


def returns_folder():
    folder = Path(tempfile.gettempdir(), "made")
    (folder / "b").mkdir(parents=True)
    (folder / "a.txt").write_text("1", encoding="utf-8")
    (folder / "b" / "c.txt").write_text("2", encoding="utf-8")
    return folder


def nowhere_path():
    return "nowhere"


def read_path(data):
    return data.read_text(encoding="utf-8")


def secrets(name):
    return [berth.secret(name), len(berth.secret_bytes(name))]


def input_text():
    return berth.input_path("data").read_text(encoding="utf-8")


def with_path(data):
    return input_text()


def names(data):
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def business():
    raise berth.BusinessError("row 7 has no price")


def silent_business():
    raise berth.BusinessError()


def crash():
    raise RuntimeError("boom")


def exit_with():
    sys.exit(3)


def printed():
    print("one")
    print("zwölf")


async def late():
    await asyncio.sleep(0.01)
    return "late"


def progressing():
    berth.progress(0, 3)
    berth.progress(1, 3, "one")
    berth.progress(3, 3)


def progress_words():
    berth.progress(message="loading")


def progress_often():
    for done in range(2001):
        berth.progress(done, 2000)


def progress_wrong():
    berth.progress(-1, 3)


def metrics():
    berth.metric("auc", 0.93)
    berth.metric("loss", 0.5, step=4)


def metric_nan():
    berth.metric("loss", float("nan"))
    berth.metric("auc", 1)


def metric_wrong():
    berth.metric("auc", "high")


def logging():
    berth.log.debug("d")
    berth.log.info("read", rows=3)
    berth.log.warning("zwölf")
    berth.log.error("bad", why={"a": [1, None]})


def log_odd():
    berth.log.info("odd", nan=float("nan"))


def log_long():
    berth.log.info("long", text="x" * 100_000)


def described():
    berth.output("out", tags={"stage": "trial"}, content_type="application/x-own")
    return {"a": 1}


def key():
    return berth.idempotency_key()


def parameters():
    return berth.params()


def own():
    return Upper("abc")


def own_echo(data):
    if not isinstance(data, Upper):
        raise TypeError(data)
    return data
