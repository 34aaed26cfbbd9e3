"""Muon for the matrices of the network, AdamW for everything else."""

from typing import Any

from torch.optim import AdamW, Muon, Optimizer

from reidflow.training.torch_patches import unwrapped_step


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-3,
    momentum: float = 0.95,
    weight_decay: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Optimizer:
    """Return Muon over the matrices of the group named 'model', AdamW over biases, norms, convolutions and loss weights.

    Muon's step is scaled to the root mean square of AdamW's ("match_rms_adamw"), so that one learning rate serves both.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982. Library: torch.
    """
    model = [p for group in groups if group.get("name") == "model" for p in group["params"]]
    matrices = [p for p in model if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for group in groups for p in group["params"] if id(p) not in chosen]
    parts: list[Optimizer] = []
    if matrices:
        parts.append(
            Muon(
                matrices,
                lr=learning_rate,
                momentum=momentum,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if rest:
        parts.append(AdamW(rest, lr=learning_rate, betas=(beta1, beta2), weight_decay=weight_decay, fused=True))
    return _Together(parts)


class _Together(Optimizer):
    """Several optimizers that step as one; the parameter groups are theirs, so a scheduler reaches all of them."""

    def __init__(self, parts: list[Optimizer]) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts
        self.steps = [unwrapped_step(part) for part in parts]
        self._link()

    def _link(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Any = None) -> None:
        """Step every part; a closure is not supported."""
        for step in self.steps:
            step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._link()
