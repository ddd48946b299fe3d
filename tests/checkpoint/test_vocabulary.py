"""Promises of the output's vocabulary: each token keeps its embedding, whatever its new row."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken as Added
from transformers import AutoModelForCausalLM, AutoTokenizer

from evomerge.checkpoint.config import merged_config
from evomerge.checkpoint.documents import read_json
from evomerge.checkpoint.source import open_source
from evomerge.checkpoint.vocabulary import build_vocabulary, check_same_vocabulary
from evomerge.checkpoint.writer import FolderWriter
from evomerge.dtypes import FLOAT32
from evomerge.errors import RecipeError, VocabularyError
from evomerge.families import family_of
from evomerge.recipe.document import Recipe
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import byte_tokenizer, word_tokenizer

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TEXTS = {
    "base": "the cat sat on the mat and the rat sat on the cat; that was that",
    "words": "THE MATTER WITH THE MAT IS THAT THE CAT THE RAT AND THE BAT SAT ON IT",
    "sums": "two and two is four and four and four is eight, this is all there is to this",
}


def make(folder, tokenizer, *, seed=1, **options):
    options.setdefault("vocabulary", max(tokenizer.get_vocab().values()) + 1)
    return random_model(
        folder, seed=seed, options=Options(layers=1, hidden=16, tokenizer=tokenizer, **options)
    )


@pytest.fixture(scope="module")
def models(module_folder):
    """Llamas with byte-level vocabularies that overlap, and some oddities."""
    made = {}
    tokenizers = {name: byte_tokenizer([text], 330) for name, text in TEXTS.items()}
    for seed, (name, tokenizer) in enumerate(tokenizers.items()):
        made[name] = make(module_folder / name, tokenizer, seed=seed)
    tokenizer = byte_tokenizer([TEXTS["base"]], 330)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    tokenizer.add_tokens([Added("<|end|>", special=True), "Zounds"])
    tokenizer.eos_token = "<|end|>"
    made["chatty"] = make(module_folder / "chatty", tokenizer, seed=4)
    rows = len(tokenizers["base"])
    made["padded"] = make(module_folder / "padded", tokenizers["base"], seed=5, vocabulary=rows + 9)
    made["short"] = make(module_folder / "short", tokenizer, seed=6, vocabulary=rows + 1)
    made["tied"] = make(module_folder / "tied", tokenizers["words"], seed=7, tied=True)
    made["half"] = make(module_folder / "half", tokenizers["words"], seed=8, dtype="bfloat16")
    return made


def recipe_of(names, models, base=None, **settings):
    """A linear recipe, whose weights are of no interest here."""

    def located(value):
        if isinstance(value, dict):
            return {key: located(item) for key, item in value.items()}
        return str(models[value]) if isinstance(value, str) and value in models else value

    tree = {
        "merge_method": "linear",
        "models": [{"model": str(models[name]), "parameters": {"weight": 1}} for name in names],
        "dtype": "float32",
    }
    if base is not None:
        tree["base_model"] = str(models[base])
    if "tokenizer_source" in settings and settings["tokenizer_source"] not in {"base", "union"}:
        settings["tokenizer_source"] = str(models[settings["tokenizer_source"]])
    if isinstance(tokens := settings.get("tokenizer", {}).get("tokens"), dict):
        settings["tokenizer"]["tokens"] = located(tokens)
    return Recipe.from_tree(tree | settings)


class Built:
    """A vocabulary, with what tests ask of it."""

    def __init__(self, names, models, base=None, **settings):
        self.recipe = recipe_of(names, models, base, **settings)
        opened = {ref: open_source(ref) for ref in self.recipe.references()}
        first = next(iter(opened.values()))
        self.family = family_of(first.config, first.names(), "model")
        self.vocabulary = build_vocabulary(self.recipe, opened, self.family)
        self.names = {ref.path.rpartition("/")[2]: ref for ref in opened}
        self.ids = self.vocabulary.tokenizer.ids

    def source(self, name):
        return self.vocabulary.sources[self.names[name]]

    def row(self, name, token, tensor=EMBEDDING):
        """What stands for a token in one of the models."""
        return self.source(name).load(tensor)[self.ids[token]]


def rows_of(folder, tensor=EMBEDDING):
    """Every token's row of a model as it is on disk."""
    matrix = load_file(folder / "model.safetensors")[tensor]
    ids = AutoTokenizer.from_pretrained(folder).get_vocab()
    return {token: matrix[row] for token, row in ids.items() if row < len(matrix)}


def saved(vocabulary, folder):
    folder.mkdir()
    vocabulary.write(folder, next(iter(vocabulary.sources)))
    return AutoTokenizer.from_pretrained(folder)


# -- Whose tokens ----------------------------------------------------------------------------


def test_a_recipe_that_says_nothing_leaves_the_vocabulary_alone(models):
    recipe = recipe_of(["base", "padded"], models)
    assert build_vocabulary(recipe, {}, None) is None


def test_a_union_has_the_bases_tokens_first_and_then_the_others(models, tmp_path):
    built = Built(["words", "sums", "base"], models, "base", tokenizer_source="union")
    rows = {name: AutoTokenizer.from_pretrained(models[name]).get_vocab() for name in TEXTS}
    in_order = sorted(built.ids, key=built.ids.get)
    expected = list(
        dict.fromkeys(
            token
            for name in ("base", "words", "sums")
            for token in sorted(rows[name], key=rows[name].get)
        )
    )
    assert in_order == expected
    assert saved(built.vocabulary, tmp_path / "out").get_vocab() == built.ids
    assert built.vocabulary.rows == len(expected)


def test_a_union_without_a_base_begins_with_the_first_listed(models):
    built = Built(["words", "sums"], models, tokenizer_source="union")
    assert (
        list(built.ids)[: len(rows_of(models["words"]))]
        == list(AutoTokenizer.from_pretrained(models["words"]).backend_tokenizer.get_vocab())
        or built.ids.items() >= AutoTokenizer.from_pretrained(models["words"]).get_vocab().items()
    )


@pytest.mark.parametrize(("setting", "whose"), [("base", "base"), ("words", "words")])
def test_one_models_tokenizer_is_copied_as_it_is(models, tmp_path, setting, whose):
    built = Built(["sums", "words"], models, "base", tokenizer_source=setting)
    saved(built.vocabulary, tmp_path / "out")
    original = (models[whose] / "tokenizer.json").read_bytes()
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == original


def test_the_tokenizer_of_a_model_that_is_not_merged_serves_too(models):
    with pytest.warns(UserWarning, match=r"no model has an embedding for '.*zeros stand in"):
        built = Built(["base", "words"], models, "base", tokenizer_source="sums")
    assert built.ids == AutoTokenizer.from_pretrained(models["sums"]).get_vocab()
    nobody = built.ids.keys() - rows_of(models["base"]).keys() - rows_of(models["words"]).keys()
    assert nobody
    assert not any(built.row("base", token).any() for token in nobody)


def test_special_tokens_stay_special_in_a_union(models, tmp_path):
    built = Built(["base", "chatty"], models, "base", tokenizer_source="union")
    tokenizer = saved(built.vocabulary, tmp_path / "out")
    decoder = tokenizer.added_tokens_decoder
    assert decoder[built.ids["<|end|>"]].special
    assert not decoder[built.ids["Zounds"]].special


def test_tokens_without_an_embedding_are_left_out(models, tmp_path):
    with pytest.warns(UserWarning, match="none for 'Zounds': left out"):
        built = Built(["short", "words"], models, "short", tokenizer_source="base")
    assert "Zounds" not in built.ids
    assert "<|end|>" in built.ids
    assert "Zounds" not in saved(built.vocabulary, tmp_path / "out").get_vocab()


def test_a_model_lacks_the_tokens_that_its_embedding_is_too_short_for(models):
    built = Built(["short", "chatty"], models, "chatty", tokenizer_source="base")
    np.testing.assert_array_equal(built.row("short", "Zounds"), rows_of(models["chatty"])["Zounds"])


def test_padding_of_the_inputs_is_dropped(models):
    built = Built(["padded"], models, tokenizer_source="base")
    assert built.vocabulary.rows == len(built.ids) == len(rows_of(models["base"]))


@pytest.mark.parametrize("multiple", [1, 7, 64])
def test_padding_of_the_output_is_the_mean_of_all_rows(models, multiple):
    built = Built(
        ["base", "words"],
        models,
        "base",
        tokenizer={"source": "union", "pad_to_multiple_of": multiple},
    )
    rows = built.vocabulary.rows
    assert rows % multiple == 0
    assert 0 <= rows - len(built.ids) < multiple
    for name in ("base", "words"):
        for tensor in (EMBEDDING, HEAD):
            matrix = built.source(name).load(tensor)
            mean = matrix[: len(built.ids)].mean(axis=0, dtype=np.float64)
            for row in matrix[len(built.ids) :]:
                np.testing.assert_allclose(row, mean, atol=1e-7)


# -- Where embeddings come from --------------------------------------------------------------


@pytest.mark.parametrize("tensor", [EMBEDDING, HEAD])
@pytest.mark.parametrize("setting", ["union", "base", "words"])
def test_every_model_keeps_the_rows_of_its_own_tokens(models, tensor, setting):
    built = Built(["base", "words", "sums"], models, "base", tokenizer_source=setting)
    for name in TEXTS:
        matrix = built.source(name).load(tensor)
        own = rows_of(models[name], tensor)
        assert matrix.shape == built.source(name).info(tensor).shape
        for token in own.keys() & built.ids.keys():
            np.testing.assert_array_equal(matrix[built.ids[token]], own[token])


def test_a_missing_token_comes_from_its_only_model_else_the_base_else_the_mean(models):
    built = Built(["base", "words", "sums"], models, "base", tokenizer_source="union")
    rows = {name: rows_of(models[name]) for name in TEXTS}
    seen = set()
    for name in TEXTS:
        matrix = built.source(name).load(EMBEDDING)
        for token in built.ids.keys() - rows[name].keys():
            having = [other for other in TEXTS if token in rows[other]]
            kind = "only" if len(having) == 1 else "base" if "base" in having else "mean"
            donors = ["base"] if kind == "base" else having
            expected = np.mean([rows[donor][token] for donor in donors], axis=0)
            np.testing.assert_allclose(matrix[built.ids[token]], expected, atol=1e-7)
            seen.add(kind)
    assert seen >= {"only", "base"}


def test_without_a_base_a_token_that_two_have_is_their_mean(models):
    built = Built(["base", "words", "sums"], models, tokenizer_source="union")
    rows = {name: rows_of(models[name]) for name in TEXTS}
    shared = (rows["base"].keys() & rows["sums"].keys()) - rows["words"].keys()
    assert shared
    for token in shared:
        expected = (rows["base"][token] + rows["sums"][token]) / 2
        np.testing.assert_allclose(built.row("words", token), expected, atol=1e-7)


def tokens_of(models, **tokens):
    return Built(["base", "words"], models, "base", tokenizer={"source": "union", "tokens": tokens})


def test_a_stated_source_stands_in_only_where_the_token_is_missing(models):
    only_words = next(iter(rows_of(models["words"]).keys() - rows_of(models["base"]).keys()))
    source = {"kind": "model_token", "model": "words", "token": "a"}
    built = tokens_of(models, **{only_words: {"source": source}})
    words = rows_of(models["words"])
    np.testing.assert_array_equal(built.row("base", only_words), words["a"])
    np.testing.assert_array_equal(built.row("words", only_words), words[only_words])


def test_force_replaces_the_token_everywhere(models):
    built = tokens_of(models, a={"source": "words", "force": True})
    expected = rows_of(models["words"])["a"]
    for name in ("base", "words"):
        np.testing.assert_array_equal(built.row(name, "a"), expected)


def test_zeros_can_be_asked_for(models):
    built = tokens_of(models, a={"source": {"kind": "zero"}, "force": True})
    for name in ("base", "words"):
        for tensor in (EMBEDDING, HEAD):
            assert not built.row(name, "a", tensor).any()


def test_a_row_can_be_named_by_its_number(models):
    source = {"kind": "model_token", "model": "words", "token_id": 7}
    built = tokens_of(models, a={"source": source, "force": True})
    expected = load_file(models["words"] / "model.safetensors")[EMBEDDING][7]
    np.testing.assert_array_equal(built.row("base", "a"), expected)


@pytest.mark.parametrize("whose", ["base", "union"])
def test_a_new_token_is_added_at_the_end(models, tmp_path, whose):
    source = {"kind": "model_token", "model": "words", "token": "a"}
    settings = {"source": whose, "tokens": {"<|new|>": {"source": source}}}
    built = Built(["base", "words"], models, "base", tokenizer=settings)
    assert built.ids["<|new|>"] == built.vocabulary.rows - 1
    expected = rows_of(models["words"])["a"]
    np.testing.assert_array_equal(built.row("base", "<|new|>"), expected)
    tokenizer = saved(built.vocabulary, tmp_path / "out")
    assert tokenizer.encode("<|new|>") == [built.ids["<|new|>"]]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"source": "words"}, "has no such token; name one of its tokens"),
        ({"source": {"kind": "model_token", "model": "words", "token": "??"}}, "no such token"),
        ({"source": {"kind": "model_token", "model": "words", "token_id": 999}}, "no such token"),
        ({"source": "sums"}, "is not merged here; name one of"),
        ({"force": True}, "force needs a source"),
    ],
)
def test_sources_that_are_not_there_are_errors(models, setting, message):
    with pytest.raises((VocabularyError, RecipeError), match=message):
        tokens_of(models, **{"<|new|>": setting})


# -- Tied models, element types, and reading by rows -----------------------------------------


def test_a_tied_model_has_the_head_that_another_model_has(models):
    built = Built(["base", "tied"], models, "base", tokenizer_source="union")
    tied, base = built.source("tied"), rows_of(models["base"], HEAD)
    assert HEAD in tied.names()
    embedding = rows_of(models["tied"])
    for token, row in built.ids.items():
        expected = embedding[token] if token in embedding else base[token]
        np.testing.assert_array_equal(tied.load(HEAD)[row], expected)
    only_tied = next(iter(embedding.keys() - base.keys()))
    np.testing.assert_array_equal(built.row("base", only_tied, HEAD), embedding[only_tied])


def test_where_all_are_tied_there_is_no_head(models):
    built = Built(["tied"], models, tokenizer_source="base")
    assert HEAD not in built.source("tied").names()


def test_other_tensors_pass_as_they_are(models):
    built = Built(["base", "words"], models, "base", tokenizer_source="union")
    for name in ("base", "words"):
        on_disk = load_file(models[name] / "model.safetensors")
        source = built.source(name)
        assert set(source.names()) == set(on_disk)
        for tensor in on_disk.keys() - {EMBEDDING, HEAD}:
            np.testing.assert_array_equal(source.load(tensor), on_disk[tensor])
            assert source.info(tensor).shape == on_disk[tensor].shape


def test_copies_keep_their_type_and_what_is_computed_comes_in_float32(models):
    same = Built(["half"], models, tokenizer_source="base")
    assert same.source("half").load(EMBEDDING).dtype == ml_dtypes.bfloat16
    mixed = Built(["base", "half"], models, "base", tokenizer_source="base")
    assert mixed.source("half").info(EMBEDDING).dtype == ml_dtypes.bfloat16
    assert mixed.source("half").load(EMBEDDING).dtype == np.float32
    np.testing.assert_array_equal(
        mixed.row("half", "a"), rows_of(models["half"])["a"].astype(np.float32)
    )
    padding = Built(["half"], models, tokenizer={"source": "base", "pad_to_multiple_of": 512})
    assert padding.source("half").load(EMBEDDING, slice(0, 2)).dtype == np.float32


@given(data=st.data())
def test_any_rows_are_those_of_the_whole(models, data):
    tokenizer = {"source": "union", "pad_to_multiple_of": 32}
    built = Built(["base", "words", "half"], models, tokenizer=tokenizer)
    source = built.source(data.draw(st.sampled_from(["base", "words", "half"])))
    tensor = data.draw(st.sampled_from([EMBEDDING, HEAD]))
    whole = source.load(tensor)
    numbers = st.integers(0, len(whole) - 1)
    first, last = sorted(data.draw(st.tuples(numbers, numbers)))
    chosen = np.array(data.draw(st.lists(numbers, max_size=20)), np.int64)
    for rows in (slice(first, last), slice(first, last, 3), chosen):
        out = np.empty(whole[rows].shape, whole.dtype)
        np.testing.assert_array_equal(source.load(tensor, rows), whole[rows])
        np.testing.assert_array_equal(source.load(tensor, rows, out), whole[rows])


def test_a_fitting_buffer_is_used(models):
    built = Built(["base"], models, tokenizer_source="base")
    out = np.empty((3, 16), np.float32)
    assert built.source("base").load(EMBEDDING, slice(4, 7), out) is out


def test_a_bias_of_the_head_follows_the_tokens(models, tmp_path):
    for name in ("base", "words"):
        shutil.copytree(models[name], tmp_path / name)
        tensors = load_file(tmp_path / name / "model.safetensors")
        tensors["lm_head.bias"] = tensors[HEAD][:, 0].copy()
        save_file(tensors, tmp_path / name / "model.safetensors")
    here = {name: tmp_path / name for name in ("base", "words")}
    built = Built(["base", "words"], here, "base", tokenizer_source="union")
    for name in here:
        source = built.source(name)
        np.testing.assert_array_equal(source.load("lm_head.bias"), source.load(HEAD)[:, 0])


# -- What the config says --------------------------------------------------------------------


def test_ids_in_configs_follow_their_tokens(module_folder, tmp_path):
    first = make(tmp_path / "first", word_tokenizer(["a", "b"]))
    words = ["b", "c", "a", "<|end|>"]
    tokenizer = word_tokenizer(words)
    tokenizer.eos_token = "<|end|>"
    tokenizer.save_pretrained(tmp_path / "plain")
    second = make(tmp_path / "second", tokenizer)
    here = {"first": first, "second": second}
    built = Built(["first", "second"], here, tokenizer_source="second")
    config = {"eos_token_id": [2, 4], "bos_token_id": 5, "pad_token_id": 0, "vocab_size": 6}
    assert built.vocabulary.adapted(config, built.names["first"]) == {
        "eos_token_id": [2, 6],
        "bos_token_id": 4,
        "pad_token_id": 0,
        "vocab_size": 6,
    }
    folder = tmp_path / "out"
    folder.mkdir()
    (first / "generation_config.json").write_text(json.dumps({"eos_token_id": 4, "top_k": 9}))
    built.vocabulary.write(folder, built.names["first"])
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation == {"eos_token_id": 6, "top_k": 9}


def test_a_token_that_is_no_more_gives_way_to_the_new_one_of_its_role(models):
    built = Built(["chatty", "words"], models, "chatty", tokenizer_source="words")
    end = AutoTokenizer.from_pretrained(models["chatty"]).eos_token_id
    adapted = built.vocabulary.adapted({"eos_token_id": end}, built.names["chatty"])
    assert adapted == {"eos_token_id": built.ids["</s>"]}


# -- The whole of it --------------------------------------------------------------------------


def test_a_model_in_a_larger_vocabulary_says_what_it_said_before(models, tmp_path):
    built = Built(["base", "chatty"], models, "base", tokenizer={"pad_to_multiple_of": 64})
    source = built.source("base")
    donor = read_json(models["base"] / "config.json")
    infos = [source.info(name) for name in source.names()]
    with FolderWriter(tmp_path / "out", infos, shard_bytes=2000, force=False) as writer:
        for name in source.names():
            writer.write(name, 0, source.load(name))
        config = merged_config(
            built.vocabulary.adapted(donor, built.names["base"]),
            family=built.family,
            layers=[(donor, 0)],
            vocabulary_size=built.vocabulary.rows,
            dtype=FLOAT32,
            tied=False,
        )
        (writer.folder / "config.json").write_text(json.dumps(config))
        built.vocabulary.write(writer.folder, built.names["base"])
        writer.commit()
    before, after = (
        (AutoModelForCausalLM.from_pretrained(f), AutoTokenizer.from_pretrained(f))
        for f in (models["base"], tmp_path / "out")
    )
    logits = [
        model(**tok(TEXTS["base"], return_tensors="pt")).logits for model, tok in (before, after)
    ]
    torch.testing.assert_close(logits[1][..., : logits[0].shape[-1]], logits[0])
    assert logits[1].shape[-1] % 64 == 0
    assert after[0].generation_config.eos_token_id == after[1].eos_token_id == 2


# -- Without a setting -----------------------------------------------------------------------


def test_models_with_as_many_rows_need_no_setting(models):
    sources = [open_source(ref) for ref in recipe_of(["words", "tied"], models).references()]
    family = family_of(sources[0].config, (), "words")
    check_same_vocabulary(sources, family)
    check_same_vocabulary([], family)


def test_models_with_other_numbers_of_rows_are_refused_with_the_remedy(models):
    sources = [open_source(ref) for ref in recipe_of(["base", "padded"], models).references()]
    family = family_of(sources[0].config, (), "base")
    with pytest.raises(
        VocabularyError, match=r"base has \d+ tokens, padded has \d+; .* add 'tokenizer_source: un"
    ):
        check_same_vocabulary(sources, family)


# -- mergekit --------------------------------------------------------------------------------


def merged_by_mergekit(recipe, weights, out):
    """The embedding and head of a linear merge, by token; the mean row; the size."""
    tree = yaml.safe_load(recipe.write())
    for entry, weight in zip(tree["models"], weights, strict=True):
        entry["parameters"]["weight"] = weight
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mergekit.config import MergeConfiguration
        from mergekit.merge import run_merge
        from mergekit.options import MergeOptions

        options = MergeOptions(quiet=True, write_model_card=False)
        run_merge(MergeConfiguration.model_validate(tree), str(out), options)
    tensors = load_file(out / "model.safetensors")
    ids = AutoTokenizer.from_pretrained(out).get_vocab()
    return {name: tensors.get(name) for name in (EMBEDDING, HEAD)}, ids


A_TOKEN = {"kind": "model_token", "model": "words", "token": "a"}


@pytest.mark.parity
@pytest.mark.parametrize(
    ("names", "base", "settings"),
    [
        (["base", "words"], "base", {"tokenizer_source": "union"}),
        (["base", "words"], "base", {"tokenizer_source": "base"}),
        (["base", "words"], "base", {"tokenizer_source": "words"}),
        (["words", "base", "sums"], "base", {"tokenizer_source": "union"}),
        (["base", "words", "sums"], None, {"tokenizer_source": "sums"}),
        (["chatty", "words"], "words", {"tokenizer_source": "union"}),
        (["padded", "words"], "padded", {"tokenizer_source": "base"}),
        (["short", "words"], "short", {"tokenizer_source": "base"}),
        (["base", "short"], "base", {"tokenizer_source": "union"}),
        (["base", "tied"], "base", {"tokenizer_source": "union"}),
        (["tied", "base"], "tied", {"tokenizer_source": "union"}),
        (["base", "words"], "base", {"tokenizer": {"source": "union", "pad_to_multiple_of": 64}}),
        (["padded", "words"], "padded", {"tokenizer": {"pad_to_multiple_of": 64}}),
        (
            ["base", "words"],
            "base",
            {"tokenizer": {"tokens": {"<|new|>": {"source": A_TOKEN}, "a": {"source": "base"}}}},
        ),
        (
            ["base", "words"],
            "base",
            {"tokenizer": {"tokens": {"a": {"source": "words", "force": True}}}},
        ),
        (
            ["base", "words"],
            "base",
            {"tokenizer": {"tokens": {"a": {"source": {"kind": "zero"}, "force": True}}}},
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*left out of the output's vocabulary:UserWarning")
def test_mergekit_gives_every_token_the_same_embedding(models, tmp_path, names, base, settings):
    built = Built(names, models, base, **settings)
    weights = [1.0, 2.0, 4.0][: len(names)]
    theirs, ids = merged_by_mergekit(built.recipe, weights, tmp_path / "out")
    assert ids.keys() == built.ids.keys()
    for tensor, matrix in theirs.items():
        if matrix is None:
            assert all(tensor not in s.names() for s in built.vocabulary.sources.values())
            continue
        ours = sum(
            weight * built.source(Path(models[name]).name).load(tensor)
            for name, weight in zip(names, weights, strict=True)
        ) / sum(weights)
        assert matrix.shape == ours.shape
        for token, row in ids.items():
            np.testing.assert_allclose(ours[built.ids[token]], matrix[row], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(ours[len(ids) :], matrix[len(ids) :], rtol=1e-6, atol=1e-6)
