"""Three experts that read digits, at three angles: what averaging ruins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.ndimage import rotate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

ANGLES = (0, 25, 50)
HIDDEN = 64


@dataclass(frozen=True)
class Task:
    """Digits at one angle; 64 numbers each."""

    train: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]


@cache
def tasks() -> tuple[Task, ...]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    made = []
    for angle in ANGLES:
        turned = rotate(images.reshape(-1, 8, 8) / 16, angle, axes=(1, 2), reshape=False, order=1)
        x = torch.tensor(turned.reshape(-1, 64)[order], dtype=torch.float32)
        y = torch.tensor(labels[order])
        made.append(Task((x[:1200], y[:1200]), (x[1200:], y[1200:])))
    return tuple(made)


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(64, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 10),
        )


def trained(task: Task, steps: int = 120) -> nn.Sequential:
    """From one start for all, as fine-tuned models have."""
    model, (x, y) = network(), task.train
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def accuracy(model: nn.Module, task: Task) -> float:
    x, y = task.held_out
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())
