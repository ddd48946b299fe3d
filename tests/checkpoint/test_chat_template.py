"""Promises of the chat template: found wherever it stood, written where transformers reads it."""

from __future__ import annotations

import json
import shutil

import pytest
from transformers import AutoTokenizer

from evomerge.checkpoint.chat_template import (
    BUILT_IN,
    chat_template,
    read_chat_template,
    write_chat_template,
)
from evomerge.errors import RecipeError
from evomerge.zoo.small_tokenizers import word_tokenizer

SHORT = "{{ messages[0]['content'] }}!"
OTHER = "{% for m in messages %}{{ m.content }}{% endfor %}"

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "Two?"},
]

# The formats as their makers document them.
SPELLED = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n"
    "<|im_start|>assistant\n1<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nOne?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n1<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nTwo?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s>[INST] Be brief.\n\nOne? [/INST] 1</s>[INST] Two? [/INST]",
    "alpaca": "Be brief.\n\n### Instruction:\nOne?\n\n### Response:\n1</s>\n\n"
    "### Instruction:\nTwo?\n\n### Response:\n",
    "exaone": "[|system|]Be brief.[|endofturn|]\n[|user|]One?\n[|assistant|]1[|endofturn|]\n"
    "[|user|]Two?\n[|assistant|]",
}


@pytest.fixture
def folder(tmp_path):
    word_tokenizer(["a"]).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def speak(folder, talk=TALK):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)


def with_template(folder, template):
    """A copy of a model with another template."""
    copy = folder.with_name(f"{folder.name}-{len(list(folder.parent.iterdir()))}")
    shutil.copytree(folder, copy)
    if template is not None:
        write_chat_template(copy, template)
    return copy


def rewrite(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_every_built_in_template_is_tested():
    assert SPELLED.keys() == BUILT_IN.keys()


@pytest.mark.parametrize("name", SPELLED)
def test_built_in_templates_speak_their_formats(folder, name):
    write_chat_template(folder, chat_template(name, []))
    assert speak(folder) == SPELLED[name]


@pytest.mark.parametrize("name", SPELLED)
def test_built_in_templates_need_no_system_message(folder, name):
    write_chat_template(folder, chat_template(name, []))
    assert "Two?" in speak(folder, TALK[1:])
    assert "Be brief" not in speak(folder, TALK[1:])


def test_literal_text_is_taken_as_it_is(folder):
    assert chat_template(SHORT, [folder]) == SHORT
    write_chat_template(folder, SHORT)
    assert speak(folder) == "Be brief.!"


def test_auto_takes_the_most_common_one(folder):
    folders = [with_template(folder, text) for text in (SHORT, OTHER, None, OTHER)]
    assert chat_template("auto", folders) == OTHER


@pytest.mark.parametrize("order", [(SHORT, OTHER), (OTHER, SHORT), (OTHER, SHORT, SHORT, OTHER)])
def test_of_equally_common_ones_auto_takes_the_first_listed(folder, order):
    folders = [with_template(folder, text) for text in order]
    assert chat_template("auto", folders) == order[0]


def test_auto_without_any_template_is_a_warning(folder):
    with pytest.warns(UserWarning, match="no model has a chat template"):
        assert chat_template("auto", [folder, folder]) is None


def test_a_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match=r"unknown template 'chatmI'; did you mean 'chatml'\?"):
        chat_template("chatmI", [])


def test_plain_text_is_no_template():
    with pytest.raises(RecipeError, match="available: alpaca, auto, chatml, exaone"):
        chat_template("the template of the base model, please", [])


def test_broken_jinja_is_refused_before_any_work():
    with pytest.raises(RecipeError, match="chat_template: line 2: "):
        chat_template("{% for m in messages %}\n{{ m['content' }}{% endfor %}", [])


def test_tags_of_transformers_own_are_known():
    text = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert chat_template(text, []) == text


def test_templates_are_found_where_each_release_put_them(folder):
    assert read_chat_template(folder) is None
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "in its own json"}))
    assert read_chat_template(folder) == "in its own json"
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "several"}]
    rewrite(folder / "tokenizer_config.json", chat_template=several)
    assert read_chat_template(folder) == "several"
    rewrite(folder / "tokenizer_config.json", chat_template="in the settings")
    assert read_chat_template(folder) == "in the settings"
    (folder / "chat_template.jinja").write_text("in its own file")
    assert read_chat_template(folder) == "in its own file"
    assert AutoTokenizer.from_pretrained(folder).chat_template == "in its own file"


def test_a_new_template_replaces_all_older_ones(folder):
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": OTHER}))
    rewrite(folder / "tokenizer_config.json", chat_template=OTHER)
    write_chat_template(folder, SHORT)
    assert AutoTokenizer.from_pretrained(folder).chat_template == SHORT
    assert OTHER not in "".join(file.read_text() for file in folder.iterdir())
    assert json.loads((folder / "tokenizer_config.json").read_text())["chat_template"] == SHORT
