"""Write demo/sample.csv with short synthetic film reviews; the output is reproducible.

python -m demo.make_sample
"""

import csv
import random
import re
from pathlib import Path

SEED = 20
TRAIN_ROWS, TEST_ROWS = 200, 60
SAMPLE = Path(__file__).with_name("sample.csv")

THINGS = (
    "plot", "cast", "script", "camera work", "dialogue", "ending", "music", "pacing", "lead actor", "villain",
    "opening scene", "story", "editing", "humour", "second half", "soundtrack", "directing", "love story",
)  # fmt: skip
FILMS = (
    "this film", "this movie", "the whole picture", "this little thriller", "this comedy", "the sequel",
    "this western", "the documentary", "this drama", "the remake",
)  # fmt: skip
PLACES = (
    "on a rainy Sunday", "with my sister", "at a late show", "on a long flight", "at the festival",
    "after work", "with three friends", "for the second time", "on an old screen", "last night",
)  # fmt: skip
WORDS = {
    "pos": (
        "wonderful", "touching", "superb", "brilliant", "charming", "gripping", "delightful", "excellent",
        "beautiful", "hilarious", "clever", "fresh", "moving", "perfect", "great", "tender", "thrilling",
    ),
    "neg": (
        "boring", "awful", "dull", "terrible", "clumsy", "predictable", "lifeless", "ridiculous", "poor",
        "annoying", "pointless", "bland", "tedious", "weak", "bad", "tasteless", "shallow",
    ),
}  # fmt: skip
VERDICTS = {
    "pos": (
        "I loved every minute", "I would gladly watch it again", "highly recommended", "I left with a smile",
        "a favourite from now on", "it deserves every award", "I laughed and cried", "do not miss it",
    ),
    "neg": (
        "a complete waste of time", "I nearly fell asleep", "avoid it", "I want my money back",
        "we walked out early", "not worth the ticket", "I kept checking my watch", "save your evening",
    ),
}  # fmt: skip
OPPOSITE = {"pos": "neg", "neg": "pos"}
PATTERNS = (
    "The {thing} is {word} and the {other} is {again}.",
    "Saw {film} {place}: {word} {thing}, {again} {other}, {verdict}.",
    "I watched {film} {place} and the {thing} was {word}; {verdict}.",
    "{Verdict}. {Film} has a {word} {thing} and a {again} {other}.",
    "What a {word} {thing}! Even the {other} felt {again}.",
    "The {other} may be {contrast}, but the {thing} is {word}, the rest is {again}, and {verdict}.",
    "{Film}, seen {place}, is {word} from start to finish; {verdict}.",
    "Some call the {thing} {contrast}. For me {film} stays {word} and {again}: {verdict}.",
)


def sentence(label: str, rng: random.Random) -> str:
    """Return a review; like real ones, some contain a word of the opposite sentiment."""
    thing, other = rng.sample(THINGS, 2)
    word, again = rng.sample(WORDS[label], 2)
    film, verdict = rng.choice(FILMS), rng.choice(VERDICTS[label])
    text = rng.choice(PATTERNS).format(
        thing=thing, other=other, word=word, again=again, contrast=rng.choice(WORDS[OPPOSITE[label]]),
        film=film, Film=_capital(film), verdict=verdict, Verdict=_capital(verdict), place=rng.choice(PLACES),
    )  # fmt: skip
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def rows() -> list[dict[str, str]]:
    """Return the sample's rows, with equal numbers of both labels and without duplicate texts."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    texts: dict[str, str] = {}
    for index in range(TRAIN_ROWS + TEST_ROWS):
        label = ("neg", "pos")[index % 2]
        while (text := sentence(label, rng)) in texts:
            continue
        texts[text] = label
    return [
        {
            "id": f"synthetic/{label}/{index:04}",
            "text": text,
            "label": label,
            "split": "train" if index < TRAIN_ROWS else "test",
        }
        for index, (text, label) in enumerate(texts.items())
    ]


def write(target: Path) -> None:
    """Write the rows as CSV."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "label", "split"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows())


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    write(SAMPLE)
