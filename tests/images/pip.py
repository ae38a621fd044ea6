"""Where this machine's pip finds packages, for builds that need to know and must not keep it."""

import os
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlparse

FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", ""))
OPTIONS = ("cert", "extra-index-url", "find-links", "index-url", "no-index", "timeout", "trusted-host")


def volumes(folder: Path) -> list[str]:
    """Arguments of a build that hand in pip's settings, and the local files that they name.

    Args:
        folder: keeps the settings while builds run.
    """
    found = settings()
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{option} = {found[option]}\n" for option in found))
    paths = {path for value in found.values() for path in map(local, value.split()) if path.exists()}
    mounts = {str(file): "/etc/pip.conf"} | {str(path): str(path) for path in sorted(paths)}
    return [word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}:ro")]


def settings() -> dict[str, str]:
    """Options by name, of the configuration files and over them of the variables."""
    parser = ConfigParser(interpolation=None)
    parser.read([Path(file).expanduser() for file in FILES if file], "utf-8")
    options = {name: section[name] for section in parser.values() for name in section}
    options |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    }
    return {name: " ".join(value.split()) for name, value in options.items() if name in OPTIONS}


def wheels(pattern: str) -> list[Path]:
    """The wheels of such a name in the folders of pip's option find-links."""
    folders = map(local, settings().get("find-links", "").split())
    return [wheel for folder in folders for wheel in folder.glob(f"{pattern}.whl")]


def local(word: str) -> Path:
    """The folder or file that a word names: of a file:// index, the folder above `simple` and the files."""
    url = urlparse(word)
    if url.scheme == "file":
        return Path(url.path).parent
    return Path(word) if word.startswith("/") else Path("no such file")
