"""Lines of a requirements.txt and the path that each names: for the images' hash and for the laptop."""

PATHS = {
    "../kit": "../kit",
    "  ../kit/  ": "../kit/",
    "../deep/kit": "../deep/kit",
    "./kit": "./kit",
    "../kit  # beside this folder": "../kit",
    "../kit\t# after a tab": "../kit",
    "../kit[fast,small]": "../kit",
    '../kit; python_version < "3.13"': "../kit",
    "-e ../kit": "../kit",
    "-e../kit": "../kit",
    "-e  ../kit[fast]  # to work on it": "../kit",
    "--editable ../kit": "../kit",
    "--editable=../kit": "../kit",
    "../kit-1.0-py3-none-any.whl": "../kit-1.0-py3-none-any.whl",
}
NO_PATHS = (
    "",
    "# ../kit",
    "#../kit",
    "numpy==2.4.6",
    "numpy==2.4.6  # not ../kit",
    "-r ../kit/requirements.txt",
    "--find-links ../wheels",
    "kit @ https://example.com/../kit.whl",
    "...kit",
)
