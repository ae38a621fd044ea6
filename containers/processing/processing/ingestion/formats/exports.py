"""Understand what annotation programs export as JSON, or say how to export it."""

from collections.abc import Mapping

from processing.errors import FileError

ARRAY = "a JSON array; write JSON Lines, one object per line"
LABEL_STUDIO = "Label Studio's tasks as JSON; export them as CSV, with the text and the choice as columns"
REFERENCES = (
    "a Ground Truth manifest of references (source-ref); write the texts themselves, as CSV or JSON Lines"
)
METADATA = "-metadata"  # the suffix of the attribute that describes a Ground Truth label


def array_reason(head: bytes) -> str:
    """Return why a JSON array is refused, from its first bytes."""
    if b'"annotations"' in head and b'"data"' in head:
        return f"{ARRAY}; it looks like {LABEL_STUDIO}"
    return ARRAY


def labelled(values: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """Return the text and the label of an annotated object, as far as its form shows them.

    Args:
        values: The object.
        names: The names in it, by field, as far as they are known.

    Raises:
        FileError: The file has to be exported in another way.
        ValueError: The object has several labels; the message is the reason.
    """
    if "source-ref" in values:
        raise FileError(REFERENCES)
    if "annotations" in values and isinstance(values.get("data"), dict):
        raise FileError(LABEL_STUDIO)
    found: dict[str, object] = {}
    if "label" not in names and isinstance(choice := values.get("accept"), list) and "answer" in values:
        if len(choice) > 1:
            raise ValueError(f"{len(choice)} labels are accepted; one is needed")
        found["label"] = choice[0] if choice else None
    if "text" not in names and "source" in values and any(name.endswith(METADATA) for name in values):
        found["text"] = values["source"]
        if "label" not in names:
            classes = [
                item["class-name"]
                for name, item in values.items()
                if name.endswith(METADATA) and isinstance(item, dict) and "class-name" in item
            ]
            if len(classes) > 1:
                raise ValueError(f"{len(classes)} labelling jobs; one is needed")
            found["label"] = classes[0] if classes else None
    return found
