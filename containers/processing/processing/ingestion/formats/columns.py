"""Find the contract's fields among the columns of a file."""

from collections.abc import Sequence

from processing.errors import FileError
from processing.ingestion.contract import Contract, Field
from processing.ingestion.rows import excerpt


def find_columns(names: Sequence[str], contract: Contract) -> dict[str, int]:
    """Return the column of each field that the file has.

    A column of the field's own name comes first, then one that differs in case only, then an alias.

    Raises:
        FileError: A required field has no column, or a field could be in several.
    """
    names = [name.strip() for name in names]
    found = {name: candidates(names, field, contract) for name, field in contract.fields.items()}
    for name, columns in found.items():
        if len(columns) > 1 and names[columns[0]] != name:
            both = " and ".join(f"'{excerpt(names[column])}'" for column in columns)
            raise FileError(f"the columns {both} could each be the {name}; name the right one {name}")
    if any(len(columns) > 1 for columns in found.values()) or not all(
        found[name] for name in contract.required
    ):
        raise FileError(f"the columns are {excerpt(','.join(names))}; {needed(contract)}")
    return {name: columns[0] for name, columns in found.items() if columns}


def candidates(names: Sequence[str], field: Field, contract: Contract) -> list[int]:
    """Return the columns that could be a field's, all by the same kind of name."""
    folded = [name.casefold() for name in names]
    if exact := [column for column, name in enumerate(names) if name == field.name]:
        return exact
    if similar := [column for column, name in enumerate(folded) if name == field.name]:
        return similar
    aliases = field.aliases - contract.fields.keys()
    return [column for column, name in enumerate(folded) if name in aliases]


def needed(contract: Contract) -> str:
    """Return which columns a file needs, and where other names are declared."""
    optional = [name for name in contract.fields if name not in contract.required]
    columns = ",".join(contract.required) + (f"[,{','.join(optional)}]" if optional else "")
    tables = " or ".join(f"[fields.{name}]" for name in contract.required)
    return (
        f"{columns} are needed, each once; declare another name in the aliases of {tables} of contract.toml"
    )


class Names:
    """The fields of JSON objects, by the objects' own names; each set of names is looked up once."""

    MAX_KEPT = 1000  # objects may have any names

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.kept: dict[tuple[str, ...], dict[str, str]] = {}

    def find(self, values: dict[str, object]) -> dict[str, str]:
        """Return the names in the object, by field; a required field may be missing.

        Raises:
            FileError: A field could be in several names.
        """
        names = tuple(values)
        if names not in self.kept:
            if len(self.kept) >= self.MAX_KEPT:
                self.kept.clear()
            self.kept[names] = self.look_up(names)
        return self.kept[names]

    def look_up(self, names: tuple[str, ...]) -> dict[str, str]:
        """Find the name of each field."""
        stripped = [name.strip() for name in names]
        found = {}
        for name, field in self.contract.fields.items():
            columns = candidates(stripped, field, self.contract)
            if len(columns) > 1:
                both = " and ".join(f"'{excerpt(names[column])}'" for column in columns)
                raise FileError(f"the names {both} could each be the {name}; name the right one {name}")
            if columns:
                found[name] = names[columns[0]]
        return found
