"""Recurrent actor-critic network: a GRU (Cho et al. 2014) between trunk and heads, for partial observability.

The trunk is the one that suits the observations (`agents.networks.architectures.network_for`); policy and
value share it, and the memory. The GRU and the heads compute in float32 whatever the trunk's precision: a
state that is carried on for thousands of steps would gather the rounding of each.

Memory is zero where an episode begins. In play whoever steps the worlds resets it (`reset_memory` of
`sim.vector`); an update goes through the sequences of a rollout and resets it within them here.
"""

from __future__ import annotations

import gymnasium
import torch
from torch import Tensor, nn

from agents.networks.architectures import Vector, network_for, trunk_for
from agents.networks.layers import orthogonal

MEMORY = 128  # H, for vectors
PICTURE_MEMORY = 256  # H, for pictures and boards


class RecurrentActorCritic(nn.Module):
    """Actor-critic network with a recurrent state: policy parameters, values and the next state.

    Attributes:
        memory_size: H.
    """

    def __init__(
        self, observation_space: gymnasium.Space[object], outputs: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.trunk = trunk_for(network_for(observation_space), observation_space, generator)
        self.memory_size = MEMORY if isinstance(self.trunk, Vector) else PICTURE_MEMORY
        self.gru = nn.GRUCell(self.trunk.features, self.memory_size)
        for weight, bias in ((self.gru.weight_ih, self.gru.bias_ih), (self.gru.weight_hh, self.gru.bias_hh)):
            nn.init.orthogonal_(weight, generator=generator)  # as in Huang et al. 2022, details of the LSTM
            nn.init.zeros_(bias)
        self.policy = orthogonal(nn.Linear(self.memory_size, outputs), 0.01, generator)
        self.value = orthogonal(nn.Linear(self.memory_size, 1), 1.0, generator)

    def forward(
        self, obs: Tensor, memory: Tensor, ended: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Go through T steps of N worlds; T is the number of observations over N.

        Args:
            obs: arranged observations (T · N, …), time first.
            memory: (N, H) before the first step.
            ended: (T, N) bool, where the next step belongs to another episode; None for one step.

        Returns:
            Policy parameters (T · N, outputs), values (T · N,) and the memory (N, H) after the last step, not
            yet reset; all float32.
        """
        features = self.trunk(obs).float()
        hidden = []
        with torch.autocast(obs.device.type, enabled=False):
            for t, now in enumerate(features.view(-1, len(memory), self.trunk.features)):
                if t:
                    assert ended is not None
                    memory = memory * ~ended[t - 1][:, None]
                memory = self.gru(now, memory)
                hidden.append(memory)
            known = torch.cat(hidden)
            return self.policy(known), self.value(known).squeeze(-1), memory
