"""Model folders: everything between files and tensors.

Reading:

- `hub`: a folder or a Hugging Face id -> a folder on this machine
- `documents`: config.json and its like, with errors that name file and line
- `tensor_file`, `weights`: safetensors files, one and all of a folder's
- `reader`: `Checkpoint`, one opened model
- `fingerprint`: what a checkpoint contains, as one hash
- `adapter`: a LoRA adapter applied while its model is read; `adapter_config`, `adapter_names`,
  `adapter_changes`, `adapter_plan` and `adapter_arithmetic` are its parts
- `source`: `Source`, all that a merge sees of a model; `quantised`: which models it refuses
- `tokenizer`, `row_plan`, `vocabulary`, `with_vocabulary`: sources in another order of tokens

Writing:

- `shards`, `writer`: `FolderWriter`, a folder that exists whole or not at all
- `config`, `per_layer`, `tokenizer_files`, `output`: the files beside the weights
"""
