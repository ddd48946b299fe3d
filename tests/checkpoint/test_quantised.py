"""Promises of quantisation: it is seen wherever config.json may state it."""

from __future__ import annotations

import pytest

from evomerge.checkpoint.quantised import quantisation_of


@pytest.mark.parametrize(
    ("config", "how"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"load_in_4bit": True}}, "in an unnamed way"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
        ({"compression_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"quantization_config": None}, None),
        ({"quantization_config": {}}, None),
        ({}, None),
    ],
)
def test_a_quantised_model_is_known_by_its_config(config, how):
    assert quantisation_of(config) == how
