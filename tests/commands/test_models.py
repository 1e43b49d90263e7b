"""`unisono models list`, and `--model` in the commands that take a model."""

import json

import pytest

from tests.retrieval.models.tagged import write_tagged
from unisono.base.errors import UsageError
from unisono.commands import evaluate, export, search
from unisono.commands.models import list_models
from unisono.commands.options import model_of
from unisono.retrieval import models

needs_tags = pytest.mark.skipif(not models.get("tags").is_here(), reason="the weights of tags are not here")


def test_the_list_names_every_model_and_what_a_user_must_know(capsys):
    list_models()
    printed = " ".join(capsys.readouterr().out.split())
    for name in models.names():
        spec = models.spec(name)
        assert name in printed and spec.languages in printed and spec.license.split(",")[0] in printed


def test_what_is_not_here_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setattr(models.get("tags"), "is_here", lambda: False)
    list_models()
    assert "Not here: tags: pip install --no-deps musicnn==0.1.0" in capsys.readouterr().out


@pytest.mark.parametrize("given", [(None, None), ("tags", "a.pt")])
def test_one_model_must_be_named(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"There is no checkpoint|exclude each other"):
        model_of(*given)


@needs_tags
def test_search_says_why(tmp_path, capsys):
    write_tagged(tmp_path)
    options = search.SearchOptions(model="tags", data_dir=tmp_path, top=2)
    search.run(["harp"], options)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[-1] == "harp" and lines[2].strip().startswith("harp 0.")
    search.run(["harp"], search.SearchOptions(model="tags", data_dir=tmp_path, json=True))
    hit = json.loads(capsys.readouterr().out)[0]["hits"][0]
    assert hit["title"] == "harp" and next(iter(hit["why"])) == "harp"


@needs_tags
def test_evaluate_writes_its_result_in_the_data_folder(tmp_path):
    write_tagged(tmp_path / "music")
    evaluate.run(evaluate.EvaluateOptions(model="tags", data_dir=tmp_path / "music", data_root=tmp_path))
    assert json.loads((tmp_path / "tags_test.json").read_text())["checkpoint"] == "tags"


@needs_tags
def test_there_is_nothing_to_export():
    with pytest.raises(UsageError, match="not trained here"):
        export.run(export.ExportOptions(model="tags"))
