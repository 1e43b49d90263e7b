from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine may take its time over one example; pytest's timeout catches what never ends.
settings.register_profile("unisono", deadline=None)
settings.load_profile("unisono")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real upstream metadata, where this machine has it: the tests of what upstream really publishes."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real upstream metadata is not on this machine")
    return folder
