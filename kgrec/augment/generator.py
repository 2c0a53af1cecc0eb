"""Who proposes edges, and who judges them: two small networks over what a bank tells."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Generator(nn.Module):
    """Prefers some of a user's candidates: what the teacher thinks, and a correction.

    g(u, i) = w · x_ui + MLP([x_ui, z_u]), x_ui being what the bank tells and z_u noise, so that one
    user gets another set from another draw. w is 1 for the teacher and 0 for all else, and the last
    layer of the MLP is 0, when it starts.

    Args:
        num_features: Numbers in x_ui, the teacher's first.
        num_noise: Numbers in z_u.
        hidden: Width of the MLP's two layers.
    """

    def __init__(self, num_features: int, num_noise: int = 4, hidden: int = 32) -> None:
        super().__init__()
        self.num_noise = num_noise
        self.direct = nn.Parameter(torch.zeros(num_features))
        self.correction = nn.Sequential(
            nn.Linear(num_features + num_noise, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 1),
        )
        last = self.correction[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            self.direct[0] = 1.0
            last.weight.zero_()
            last.bias.zero_()

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Gives logits (B, k) from what is told (B, k, f) and noise (B, z)."""
        beside = noise[:, None, :].expand(-1, features.shape[1], -1)
        correction = self.correction(torch.cat([features, beside], dim=2)).squeeze(2)
        return features @ self.direct + correction  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Tells hidden interactions from proposals: logits, higher for what looks real.

    Its layers are bounded (spectral norm: Miyato et al., ICLR 2018), its scale is learned.

    Args:
        num_features: Numbers that are told of a user and an item.
        hidden: Width of the two layers.
    """

    def __init__(self, num_features: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Linear(num_features, hidden)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(hidden, hidden)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(hidden, 1)),
        )
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Gives logits (…) from what is told (…, f)."""
        return self.layers(features).squeeze(-1) * self.log_scale.exp()  # type: ignore[no-any-return]
