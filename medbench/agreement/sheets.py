"""Rating sheets for people: blinded, shuffled, as CSV and as a page that needs nothing else; and their answers read back."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from medbench.agreement.ratings import Rating, grade_of
from medbench.agreement.scales import Scale, parse_scale
from medbench.cards import GUARDED
from medbench.errors import DataError, InputError, UsageError, suggestion
from medbench.files import private_folder, write_whole
from medbench.identity import digest, hash_order
from medbench.runs import DATA_USE, RunFolder
from medbench.types import Image, Sample, Struct, Text

KEY = "key.json"
SIDE = 768
"""Longest side of a picture on the page, in pixels."""
QUALITY = 85

SHEET_COLUMNS = ("item", "rater", "rating", "comment", "question", "reference", "candidate")


class Item(Struct):
    """One answer to be rated, without a word of who gave it."""

    name: str
    run: str
    sample: str
    question: str
    reference: str
    candidate: str
    images: tuple[Image, ...] = ()


class Key(Struct):
    """What the items of a sheet are: kept from the raters."""

    scale: str
    items: dict[str, tuple[str, str]]
    """Item -> run, sample."""


def collect(folders: Sequence[RunFolder], *, seed: int = 0, limit: int | None = None) -> list[Item]:
    """Return the answers of runs as items, in an order and under names that tell nothing.

    Answers that failed are left out; several runs are mixed, each giving its answers to the same samples.

    Args:
        folders: The runs.
        seed: Seed of the order.
        limit: So many samples, in hash order of their names; None: all.
    """
    found: dict[str, tuple[str, Sample, str]] = {}
    for folder in folders:
        samples = {sample.id: sample for sample in folder.read_samples()}
        chosen = set(hash_order(samples)[:limit])
        for prediction in folder.read_predictions():
            plain = isinstance(prediction.value, Text) and prediction.condition.get("images", "true") == "true"
            if plain and prediction.sample in chosen:
                place = digest("rating", str(seed), folder.path.name, prediction.sample)
                found[place] = folder.path.name, samples[prediction.sample], prediction.value.text  # type: ignore[union-attr]
    if not found:
        raise UsageError("these runs have no text to rate", hint="a run of reports or answers (medbench runs)")
    width = max(3, len(str(len(found))))
    return [
        Item(
            name=f"item-{number:0{width}}",
            run=run,
            sample=sample.id,
            question=sample.prompt,
            reference="\n".join(sample.references),
            candidate=text,
            images=sample.images,
        )
        for number, (_, (run, sample, text)) in enumerate(sorted(found.items()), 1)
    ]


def require_permitted(folders: Sequence[RunFolder], out: Path, *, include_data: bool) -> str:
    """Return the access tier of the runs; data under an agreement is shown where the user says so, and in the run's folder alone.

    Raises:
        UsageError: it was not said, or `out` lies elsewhere.
    """
    guarded = [folder for folder in folders if folder.read_record().data.access in GUARDED]
    if not guarded:
        return ""
    access, home = guarded[0].read_record().data.access, guarded[0].path.resolve()
    if not include_data:
        said = f"{guarded[0].path} holds {access} data, and a rating sheet shows its texts and pictures"
        raise UsageError(said, hint="--include-data writes the sheet into that private folder; every rater must have signed the agreement")
    if not out.resolve().is_relative_to(home):
        raise UsageError(f"{out} lies outside the run, and {access} data stays in its private folder", hint=f"--out {home / 'rating'}")
    return access


def write_sheets(
    items: Sequence[Item], out: Path, scale: Scale, *, raters: Sequence[str] = ("",), pictures: bool = True, seed: int = 0, access: str = ""
) -> list[Path]:
    """Write a sheet for each rater, each in an order of its own, and the key; return where they are.

    Args:
        items: What is rated.
        out: The folder, private to its owner.
        scale: The grades.
        raters: Names; an empty one leaves the name to the rater.
        pictures: Put the pictures into the page.
        seed: Seed of the orders.
        access: Tier of guarded data; empty: it is not guarded.
    """
    private_folder(out)
    if access:
        write_whole(out / "DATA-USE.txt", DATA_USE.format(access=access).encode())
    shown = {item.name: [_picture(image) for image in item.images] for item in items} if pictures else {}
    written = []
    for rater in raters:
        stem = f"sheet-{_file_name(rater)}" if rater else "sheet"
        ordered = sorted(items, key=lambda item: digest("order", str(seed), rater, item.name))
        write_whole(out / f"{stem}.csv", _csv(ordered, rater))
        write_whole(out / f"{stem}.html", _page(ordered, rater, scale, shown))
        written += [out / f"{stem}.csv", out / f"{stem}.html"]
    key = Key(scale=scale.name, items={item.name: (item.run, item.sample) for item in items})
    write_whole(out / KEY, msgspec.json.format(msgspec.json.encode(key, order="deterministic"), indent=1) + b"\n")
    return [*written, out / KEY]


def read_sheet(path: Path, key: Key, rater: str = "") -> list[Rating]:
    """Return the ratings of a filled-in sheet: the CSV itself, or what the page saved.

    Args:
        path: The file.
        key: What its items are.
        rater: Who filled it in, where the file does not say.

    Raises:
        DataError: an item is unknown or there twice, a rating is no grade, or nobody is named; names the line.
    """
    scale, seen, made = parse_scale(key.scale), set(), []
    for number, row in _sheet_rows(path):
        item, text = (row.get("item") or "").strip(), (row.get("rating") or "").strip()
        if not text:
            continue
        if item not in key.items or item in seen:
            raise DataError(
                f"{path}:{number}: item {item or '(empty)'} is {'there twice' if item in seen else 'not in the key'}",
                hint=suggestion(item, key.items),
            )
        seen.add(item)
        name = rater or (row.get("rater") or "").strip()
        if not name:
            raise DataError(f"{path}:{number}: nobody is named", hint="--rater NAME, or the column rater")
        run, sample = key.items[item]
        made.append(Rating(sample=sample, rater=name, rating=grade_of(text, scale, f"{path}:{number}"), run=run, line=number))
    if not made:
        raise DataError(f"{path}: no rating in it", hint="the column rating holds the grades")
    return made


def read_key(path: Path) -> Key:
    """Read the key of a sheet.

    Raises:
        DataError: it is missing or no key.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Key)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}", hint=f"--key names the {KEY} that was written with the sheet") from None


def _sheet_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", hint="a CSV file in UTF-8") from None
    head = content.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=max(",;\t", key=head.count))
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    if not {"item", "rating"} <= set(names):
        raise DataError(f"{path}: no columns item and rating", hint=f"it has: {', '.join(names) or 'none'}")
    reader.fieldnames = names
    for row in reader:
        yield reader.line_num, {key: value or "" for key, value in row.items() if isinstance(key, str)}


def _csv(items: Sequence[Item], rater: str) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(SHEET_COLUMNS)
    for item in items:
        writer.writerow([item.name, rater, "", "", *(_inert(text) for text in (item.question, item.reference, item.candidate))])
    return ("\ufeff" + buffer.getvalue()).encode()


def _inert(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f" {text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _page(items: Sequence[Item], rater: str, scale: Scale, shown: dict[str, list[dict[str, str]]]) -> bytes:
    """Return the page: all texts are data in it, set as text by its script, never as markup."""
    data: dict[str, Any] = {
        "name": digest(rater, *(item.name + item.candidate for item in items))[:12],
        "rater": rater,
        "levels": [{"grade": grade, "words": scale.levels.get(grade, "")} for grade in reversed(scale.grades)],
        "items": [
            {
                "name": item.name,
                "question": item.question,
                "reference": item.reference,
                "candidate": item.candidate,
                "images": shown.get(item.name, []),
            }
            for item in items
        ],
    }
    template = (files("medbench.agreement") / "sheet.html").read_text(encoding="utf-8")
    encoded = msgspec.json.encode(data).decode().replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return template.replace("__DATA__", encoded, 1).encode()


def _picture(image: Image) -> dict[str, str]:
    """Return a picture as a data URI with its role, or why there is none."""
    from medbench.images import decode  # noqa: PLC0415 - loaded by those who decode

    try:
        whole = decode(image)
    except InputError:
        return {"role": image.role, "uri": ""}
    whole.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    whole.save(buffer, format="JPEG", quality=QUALITY)
    return {"role": image.role, "uri": f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"}


def _file_name(rater: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in rater)[:40]
