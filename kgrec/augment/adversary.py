"""Who proposes edges, and who judges them: two small networks over what a bank tells.

The generator is trained by cross-entropy first, then against the discriminator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus
from torch.nn.utils.parametrizations import spectral_norm

from kgrec.config import GanConfig


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


#: Users whose candidates a step sees.
_BATCH = 128


@dataclass(frozen=True, eq=False)
class Lessons:
    """What generator and discriminator learn from: made users, of whom all is known.

    Attributes:
        features: (m, k, f) float32, what the bank tells of each user's candidates.
        real: (m, k) bool, which of them the user has in truth.
        items: (m, k) int64, the candidates; -1 where there is none.
        popularity: (m, k) float32, log(1 + users) of the candidates.
    """

    features: Tensor
    real: Tensor
    items: Tensor
    popularity: Tensor

    @property
    def present(self) -> Tensor:
        """(m, k) bool, which candidates there are."""
        return self.items >= 0

    def take(self, users: Tensor) -> "Lessons":
        """Those of some users, places (B,) or a mask (m,)."""
        return Lessons(
            self.features[users], self.real[users], self.items[users], self.popularity[users]
        )

    def batches(self, generator: torch.Generator) -> Iterator["Lessons"]:
        """Goes once through the users of whose candidates some are real and some are not."""
        has_unreal = (self.present & ~self.real).any(dim=1)
        able = torch.nonzero(self.real.any(dim=1) & has_unreal).squeeze(1)
        for batch in torch.split(able[torch.randperm(len(able), generator=generator)], _BATCH):
            yield self.take(batch)


def pretrain(
    generator: Generator,
    lessons: Lessons,
    config: GanConfig,
    draws: torch.Generator,
    look: Callable[[], object] = lambda: None,
) -> list[float]:
    """Teaches the generator which candidates are real, by cross-entropy over each user's.

    Args:
        generator: Is changed.
        lessons: What it learns from.
        config: How.
        draws: Of the order of users and the noise.
        look: Is called after each epoch.

    Returns:
        The mean loss of each epoch.
    """
    optimiser = torch.optim.AdamW(generator.parameters(), config.learning_rate, weight_decay=1e-3)
    losses = []
    for _ in range(config.pretrain_epochs):
        steps = []
        for batch in lessons.batches(draws):
            loss = _cross_entropy(draw_logits(generator, batch, config, draws), batch)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            steps.append(float(loss.detach()))
        if steps:
            losses.append(sum(steps) / len(steps))
        look()
    return losses


def play(
    generator: Generator,
    discriminator: Discriminator,
    lessons: Lessons,
    config: GanConfig,
    draws: torch.Generator,
    look: Callable[[], object] = lambda: None,
) -> list[dict[str, float]]:
    """Lets the two learn from each other, with the cross-entropy as an anchor.

    A user's candidates are few, so the generator's expected loss over what it would draw, Σ_i p_ui
    L(D(u, i)), is computed as it is: no relaxation of the draw, no variance of a score function.
    The discriminator sees what is real, what the generator draws, and for each real item another
    one as popular, so that popularity tells it nothing. Arguments as `pretrain`.

    Returns:
        Of each round the losses `generator`, `discriminator` and `cross_entropy`.
    """
    rate = config.adversarial_learning_rate
    of_generator = torch.optim.AdamW(generator.parameters(), rate, betas=(0.5, 0.9))
    of_discriminator = torch.optim.AdamW(
        discriminator.parameters(), 2 * rate, betas=(0.5, 0.9), weight_decay=1e-3
    )
    history = []
    for _ in range(config.rounds):
        sums = torch.zeros(3)
        steps = 0
        for batch in lessons.batches(draws):
            for _ in range(config.discriminator_steps):
                discriminator_loss = _discriminate(generator, discriminator, batch, config, draws)
                of_discriminator.zero_grad()
                discriminator_loss.backward()  # type: ignore[no-untyped-call]
                of_discriminator.step()
            logits = draw_logits(generator, batch, config, draws)
            with torch.no_grad():
                verdicts = discriminator(batch.features)
            adverse = (logits.softmax(dim=1) * -logsigmoid(verdicts)).sum(dim=1)
            entropy = _cross_entropy(logits, batch)
            loss = adverse.mean() + config.anchor * entropy
            of_generator.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            of_generator.step()
            sums += torch.stack(
                [adverse.mean().detach(), discriminator_loss.detach(), entropy.detach()]
            )
            steps += 1
        names = ("generator", "discriminator", "cross_entropy")
        if steps:
            history.append(dict(zip(names, (sums / steps).tolist(), strict=True)))
        look()
    return history


def draw_logits(
    generator: Generator, batch: Lessons, config: GanConfig, draws: torch.Generator
) -> Tensor:
    """Gives what a generator draws by, (B, k): popularity is given, it says what speaks beyond."""
    noise = torch.randn(len(batch.features), generator.num_noise, generator=draws)
    logits: Tensor = generator(batch.features, noise) + config.popularity * batch.popularity
    return logits.masked_fill(~batch.present, -torch.inf)


def _cross_entropy(logits: Tensor, batch: Lessons) -> Tensor:
    """-Σ log p over a user's real candidates, the mean of them, the mean over users."""
    log_probability = logits.log_softmax(dim=1).masked_fill(~batch.real, 0.0)
    return -(log_probability.sum(dim=1) / batch.real.sum(dim=1)).mean()


def _discriminate(
    generator: Generator,
    discriminator: Discriminator,
    batch: Lessons,
    config: GanConfig,
    draws: torch.Generator,
) -> Tensor:
    """The discriminator's loss on as many real, drawn and equally popular candidates."""
    with torch.no_grad():
        logits = draw_logits(generator, batch, config, draws)
    real = torch.multinomial(batch.real.float(), config.drawn, replacement=True, generator=draws)
    proposals = torch.multinomial(logits.softmax(dim=1), config.drawn, True, generator=draws)
    alike = _as_popular(batch, real, draws)
    of_real, of_drawn, of_alike = (
        discriminator(_at(batch.features, place)) for place in (real, proposals, alike)
    )
    losses: Tensor = softplus(-of_real) + (softplus(of_drawn) + softplus(of_alike)) / 2
    return losses.mean()


def _as_popular(batch: Lessons, places: Tensor, draws: torch.Generator) -> Tensor:
    """For each place (B, n) that of another candidate, not real, of about the same popularity."""
    popularity = batch.popularity.gather(1, places)  # (B, n)
    distance = (batch.popularity[:, None, :] - popularity[:, :, None]).abs()  # (B, n, k)
    distance += 0.3 * torch.rand(distance.shape, generator=draws)  # not always the same one
    unfit = batch.real | ~batch.present
    return distance.masked_fill_(unfit[:, None, :], torch.inf).argmin(dim=2)


def _at(features: Tensor, places: Tensor) -> Tensor:
    """Features (B, k, f) at places (B, n): (B, n, f)."""
    return features.gather(1, places[:, :, None].expand(-1, -1, features.shape[2]))
