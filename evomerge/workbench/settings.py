"""Where and how candidates are built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Of a workbench. None of them changes a result on one type of device.

    Attributes:
        device: ``auto`` is ``cuda`` where there is one, else ``cpu``; any torch device.
        resident: keep the models in memory, or read them from disk for every candidate. None
            decides by the memory there is.
        threads: how many tensors are merged at a time on the CPU; 0 is one for each core.
        trust_remote_code: run the Python code that comes with the models.
        allow_nan: let NaN and infinity in the models through.
    """

    device: str = "auto"
    resident: bool | None = None
    threads: int = 0
    trust_remote_code: bool = False
    allow_nan: bool = False

    def chosen_device(self) -> str:
        """The torch device that ``device`` means here."""
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
