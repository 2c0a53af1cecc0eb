"""The generator, its adversary and what is measured of them, on made lessons."""

from dataclasses import replace

import pytest
import torch
from graphs import history_of, make_graph
from torch.nn.functional import logsigmoid

from kgrec.augment import adversary
from kgrec.augment.adversary import Discriminator, Generator, Lessons, draw_logits, play, pretrain
from kgrec.augment.bank import Bank
from kgrec.augment.gan import (
    Augmenter,
    Classroom,
    Preferred,
    fit_gan,
    fit_generator,
)
from kgrec.augment.measures import effective_number
from kgrec.augment.world import World
from kgrec.config import GanConfig
from kgrec.errors import ShapeError
from kgrec.model.incidence import Incidence

USERS, CANDIDATES = 120, 30


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(generator: torch.Generator, wanted: int = 1, *, popular: float = 0.0) -> Lessons:
    """Users whose five real candidates are those with the most in one of three columns.

    Popularity is one more reason, `popular` times as strong.
    """
    features = torch.randn(USERS, CANDIDATES, 3, generator=generator)
    popularity = torch.randn(USERS, CANDIDATES, generator=generator)
    reason = features[:, :, wanted] + popular * popularity
    features[:, :, 2] = popularity
    real = torch.zeros(USERS, CANDIDATES, dtype=torch.bool)
    real.scatter_(1, reason.topk(5, dim=1).indices, True)
    items = torch.randperm(USERS * CANDIDATES, generator=generator) % 400
    return Lessons(features, real, items.view(USERS, CANDIDATES), popularity)


def precision(generator: Generator, lessons: Lessons) -> float:
    noise = torch.zeros(USERS, generator.num_noise)
    with torch.no_grad():
        top = generator(lessons.features, noise).topk(5, dim=1).indices
    return float(lessons.real.gather(1, top).float().mean())


def alike(one: Generator, other: Generator) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def fresh(seed: int = 0, noise: int = 2) -> Generator:
    torch.manual_seed(seed)
    return Generator(3, noise, 16)


CONFIG = GanConfig(pretrain_epochs=40, learning_rate=0.02, popularity=0.0, rounds=30)


class TestGenerator:
    def test_starts_as_the_teacher_whatever_the_noise(self) -> None:
        features = torch.randn(4, 7, 3, generator=draws())
        found = fresh()(features, torch.randn(4, 2, generator=draws(1)))
        assert torch.equal(found, features[:, :, 0])

    def test_learns_what_the_teacher_does_not_know(self) -> None:
        generator = fresh()
        before = precision(generator, made(draws(1)))
        losses = pretrain(generator, made(draws()), CONFIG, draws())
        assert before < 0.3
        assert precision(generator, made(draws(1))) > 0.9
        assert losses[-1] < losses[0]

    def test_what_popularity_explains_is_left_to_popularity(self) -> None:
        lessons = made(draws(), popular=3.0)
        told = {}
        for share in (0.0, 1.0):
            generator = fresh()
            config = CONFIG.model_copy(update={"popularity": share, "pretrain_epochs": 10})
            # Popularity counts as strongly in the draw as it does in truth.
            pretrain(
                generator, replace(lessons, popularity=lessons.popularity * 9), config, draws()
            )
            logits = generator(lessons.features, torch.zeros(USERS, 2)).detach()
            both = torch.stack([logits.flatten(), lessons.popularity.flatten()])
            told[share] = float(torch.corrcoef(both)[0, 1])
        assert told[0.0] > 0.8
        assert told[1.0] < 0.3

    def test_users_without_anything_real_or_with_nothing_else_are_not_asked(self) -> None:
        lessons = made(draws())
        real = lessons.real.clone()
        real[::4], real[1::4] = False, True
        batches = list(replace(lessons, real=real).batches(draws()))
        assert sum(len(batch.features) for batch in batches) == USERS / 2
        assert not any(batch.real.all(dim=1).any() for batch in batches)
        assert all(batch.real.any(dim=1).all() for batch in batches)

    def test_what_is_no_candidate_is_never_drawn(self) -> None:
        lessons = made(draws())
        items = lessons.items.clone()
        items[:, 3] = -1
        logits = draw_logits(fresh(), replace(lessons, items=items), CONFIG, draws())
        assert torch.isinf(logits[:, 3]).all()
        assert torch.isfinite(logits[:, :3]).all()


class TestAdversary:
    def test_the_generators_loss_is_what_its_draws_cost_on_average(self) -> None:
        lessons = made(draws()).take(torch.arange(1))
        generator, discriminator = fresh(), Discriminator(3)
        one_step = CONFIG.model_copy(
            update={
                "popularity": 0.0, "rounds": 1, "discriminator_steps": 1,
                "adversarial_learning_rate": 1e-12,
            }
        )  # fmt: skip
        (history,) = play(generator, discriminator, lessons, one_step, draws())
        with torch.no_grad():
            judged = discriminator.eval()(lessons.features)
            share = generator(lessons.features, torch.zeros(1, generator.num_noise)).softmax(dim=1)
        drawn = torch.multinomial(share, 200_000, replacement=True, generator=draws())
        mean = -logsigmoid(judged.gather(1, drawn)).mean()
        assert history["generator"] == pytest.approx(float(mean), rel=5e-3)

    def test_alone_it_leads_the_generator_towards_what_is_real(self) -> None:
        config = CONFIG.model_copy(update={"anchor": 0.0, "adversarial_learning_rate": 0.01})
        generator, lessons = fresh(), made(draws())
        torch.manual_seed(1)
        history = play(generator, Discriminator(3), lessons, config, draws())
        assert precision(generator, made(draws(1))) > 0.6  # a fifth by chance
        assert len(history) == config.rounds

    def test_each_real_one_stands_beside_another_as_popular(self) -> None:
        lessons = made(draws())
        popularity = torch.arange(CANDIDATES).float().repeat(USERS, 1)
        real = torch.zeros(USERS, CANDIDATES, dtype=torch.bool)
        real[:, [0, 10, 11, 29]] = True
        items = lessons.items.clone()
        items[:, 28] = -1
        lessons = replace(lessons, popularity=popularity, real=real, items=items)
        places = torch.tensor([[0, 10, 11, 29]]).repeat(USERS, 1)
        assert (
            adversary._as_popular(lessons, places, draws()) == torch.tensor([1, 9, 12, 27])
        ).all()


class TestClassroom:
    def test_copies_of_one_user_stay_together(self) -> None:
        owner = torch.arange(11).repeat_interleave(3)
        # Copies have the same twenty items in a row, those of each owner start elsewhere.
        pairs = (3 * owner[:, None] + torch.arange(20)) % 40
        rows = torch.arange(33).repeat_interleave(4)
        told = Incidence.from_pairs(rows, pairs[:, :4].flatten(), 33, 40)
        hidden = Incidence.from_pairs(
            torch.arange(33).repeat_interleave(16), pairs[:, 4:].flatten(), 33, 40
        )
        graph = make_graph((12, 40, 0), [(11, item) for item in range(40)])
        bank = Bank({"teacher": Items()}, history_of(graph), ("teacher",))
        room = Classroom.of(World(graph, owner, told, hidden), bank, 40)
        sizes = [len(part.real) for part in (room.train, room.valid, room.test)]
        assert sizes == [21, 6, 6]
        # Everything is a candidate, and popularity is that of the world's own graph.
        assert room.candidate_recall == 1.0
        assert torch.allclose(room.test.popularity, torch.tensor(2.0).log())
        for part, owners in ((room.valid, (3, 8)), (room.test, (4, 9))):
            expected = [set(((3 * each + torch.arange(4, 20)) % 40).tolist()) for each in owners]
            found = [set(part.items[row][part.real[row]].tolist()) for row in range(6)]
            assert found == [each for each in expected for _ in range(3)]
        few = World(graph, owner % 4, told, hidden)
        assert not Classroom.of(few, bank, 40).apart

    def test_the_seed_decides_and_the_gan_starts_from_the_generator(self) -> None:
        room = Classroom(made(draws()), made(draws(2)), made(draws(1)), 0.5, ("teacher", "right"))
        one, again, other = (fit_generator(room, CONFIG, 5, seed) for seed in (0, 0, 1))
        for first, second in zip(
            one.generator.parameters(), again.generator.parameters(), strict=True
        ):
            assert torch.equal(first, second)
        assert one.report == again.report != other.report
        still = one.config.model_copy(update={"rounds": 0})
        gan = fit_gan(room, Augmenter(one.generator, room.names, still), 5, 0)
        for first, second in zip(
            one.generator.parameters(), gan.generator.parameters(), strict=True
        ):
            assert torch.equal(first, second)
        assert fit_gan(room, one, 5, 0).report["rounds"] != []

    def test_it_stays_what_it_was_at_its_best(self) -> None:
        # Of what is learned column 1 is the reason, of those who choose it is column 0.
        room = Classroom(
            made(draws()), made(draws(2), wanted=0), made(draws(1)), 0.5, ("teacher", "right")
        )
        found = fit_generator(room, CONFIG, 5, 0)
        assert found.report["looks"][0] == max(found.report["looks"]) == 1.0
        assert found.report["precision"]["generator"] == found.report["precision"]["teacher"]

    def test_what_is_measured(self) -> None:
        room = Classroom(made(draws()), made(draws(2)), made(draws(1)), 0.5, ("teacher", "right"))
        report = fit_generator(room, CONFIG, 5, 0).report
        found = report["precision"]
        assert found["right"] == 1.0
        assert found["teacher"] == pytest.approx(1 / 6, abs=0.05)
        assert found["generator"] > 0.85
        assert not report["collapsed"]
        assert report["variety"]["proposed"] < report["variety"]["hidden"] * 1.5

    def test_proposing_the_same_to_everyone_is_called_collapsed(self) -> None:
        lessons = made(draws())
        # Every user's best candidates by the teacher are the same five items.
        items = lessons.items + 5
        features = lessons.features.clone()
        items[:, :5], features[:, :5, 0] = torch.arange(5), 9.0
        real = lessons.real.clone()
        real[:, :5] = False
        same = replace(lessons, items=items, features=features, real=real)
        idle = CONFIG.model_copy(update={"pretrain_epochs": 0})
        report = fit_generator(
            Classroom(same, same, same, 0.5, ("teacher", "b")), idle, 5, 0
        ).report
        assert report["variety"]["proposed"] == pytest.approx(5)
        assert report["collapsed"]
        features[:, 0, 0] = 10.0
        same = replace(same, features=features)
        one = fit_generator(Classroom(same, same, same, 0.5, ("teacher", "b")), idle, 1, 0).report
        assert one["variety"]["proposed"] == pytest.approx(1)
        assert one["collapsed"]
        # Everyone is offered one item of the five: the same from each, and told apart at once.
        told = one["sources"]["generator"]
        assert (told["distinct"], told["precision"]) == (1, 0.0)
        assert told["degree_distance"] > 3
        assert told["auc"] > 0.99

    def test_effective_number_by_hand(self) -> None:
        assert effective_number(torch.tensor([3, 3, 7, 7])) == pytest.approx(2)
        assert effective_number(torch.tensor([4, 4, 4])) == pytest.approx(1)
        assert effective_number(torch.empty(0, dtype=torch.int64)) == 0.0


class Items:
    """Likes items the more, the higher their number."""

    def score(self, user_indices: torch.Tensor) -> torch.Tensor:
        return torch.arange(40.0).expand(len(user_indices), -1)

    def over(self, history: Incidence) -> "Items":
        return self


class Ranks:
    """Likes items the more, the higher their number; user 1 the other way round."""

    def score(self, user_indices: torch.Tensor) -> torch.Tensor:
        sign = torch.where(user_indices == 1, -1.0, 1.0)
        return sign[:, None] * torch.arange(9.0)

    def over(self, history: Incidence) -> "Ranks":
        return self


class TestPreferred:
    known = Incidence.from_pairs(torch.tensor([0, 2]), torch.tensor([8, 0]), 3, 9)
    scorer = Preferred(Generator(2), Bank({"teacher": Ranks()}, known, ("teacher",)), 4, 0)

    def test_candidates_come_first_by_the_generator(self) -> None:
        scores = self.scorer.score(torch.arange(3))
        assert scores.topk(4, dim=1).indices.tolist() == [[7, 6, 5, 4], [0, 1, 2, 3], [8, 7, 6, 5]]
        assert (scores.isfinite().sum(dim=1) == 4).all()

    def test_another_bank_is_refused(self) -> None:
        augmenter = Augmenter(Generator(2), ("teacher",), GanConfig())
        assert augmenter.scorer(self.scorer.bank, 0).seed == 0
        other = replace(self.scorer.bank, scorers={"knn": Ranks()})
        with pytest.raises(ShapeError, match=r"learned from \['teacher'\] was told of \['knn'\]"):
            augmenter.scorer(other, 0)

    def test_a_user_scores_the_same_in_any_company(self) -> None:
        torch.manual_seed(0)
        generator = Generator(2)
        torch.nn.init.normal_(generator.correction[-1].weight)
        scorer = replace(self.scorer, generator=generator)
        alone = torch.cat([scorer.score(torch.tensor([user])) for user in range(3)])
        assert torch.allclose(scorer.score(torch.arange(3)), alone, atol=1e-6)
        assert not torch.allclose(replace(scorer, seed=1).score(torch.arange(3)), alone)
