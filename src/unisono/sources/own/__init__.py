"""The user's own music: a folder of tagged files, a table of captions through a recipe, a Hugging Face data set."""

from pathlib import Path

from unisono.sources.base import Dataset

_SHIPPED = Path(__file__).parent / "recipes"
_FOLDER = "folder:"
_HUGGING_FACE = "hf:"


def find(name: str) -> Dataset | None:
    """Return the dataset that a name stands for, if it is none of the published ones; else None.

    The name is `folder:<path>`, `hf:<path>`, `hf:owner/name`, the path of a recipe, or the name of a recipe that is part
    of unisono.

    Raises:
        UsageError: the folder or the recipe is missing, or the recipe has a mistake.
    """
    if name.startswith(_FOLDER):
        from unisono.sources.own.folder import folder_dataset

        return folder_dataset(Path(name.removeprefix(_FOLDER)).expanduser())
    if name.startswith(_HUGGING_FACE):
        from unisono.sources.own.recipe_dataset import huggingface_dataset

        return huggingface_dataset(name)
    if name.endswith(".toml"):
        from unisono.sources.own.recipe_dataset import recipe_dataset

        return recipe_dataset(Path(name).expanduser())
    if name in recipe_names():
        from unisono.sources.own.recipe_dataset import recipe_dataset

        return recipe_dataset(_SHIPPED / f"{name}.toml", is_shipped=True)
    return None


def recipe_names() -> list[str]:
    """List the recipes that are part of unisono, in alphabetical order."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))
