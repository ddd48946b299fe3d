"""Model folders: everything between files and tensors.

Reading, in the order of the data:

    hub          a folder or a Hugging Face id -> a folder on this machine
    documents    config.json and its like, with errors that name file and line
    weights      which safetensors files of a folder hold its tensors
    tensor_file  one safetensors file: its header checked, its tensors read by rows
    reader       `Checkpoint`: one opened model folder
    fingerprint  what a checkpoint contains, as one hash
    adapter      a LoRA adapter applied while its base is read (`adapter_*`: its parts)
    source       `Source`: what `merge` reads, whatever it is made of
"""
