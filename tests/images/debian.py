"""A base image made of Debian's own packages, where no registry can be reached."""

import subprocess
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-venv"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FOUND_ANEW = ("var/cache/apt/archives", "var/lib/apt/lists")  # what a mirror gives again


def make(image: str, folder: Path) -> None:
    """Have buildah keep a minimal Debian with Python as `image`; `folder` is for the work."""
    root = folder / "root"
    run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), mirror())
    run("find", *(str(root / place) for place in FOUND_ANEW), "-type", "f", "-delete")
    container = run("buildah", "from", "scratch")
    run("buildah", "add", "--quiet", container, str(root), "/")
    run("buildah", "config", "--env", f"PATH={PATH}", container)
    run("buildah", "commit", "--quiet", "--rm", container, image)
    run("rm", "-r", "--one-file-system", str(root))


def mirror() -> str:
    """Where this machine's apt gets the suite, else Debian's own mirror."""
    form = "$(CODENAME) $(REPO_URI)"
    found = run("apt-get", "indextargets", "--format", form, "Created-By: Packages", "Origin: Debian")
    for line in found.splitlines():
        suite, site = line.split(" ", 1)
        if suite == SUITE:
            return site
    return MIRROR


def run(*command: str) -> str:
    """A command's answer; an error that ends with its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}"
    return done.stdout.strip()
