"""Trains one hopwise model from a job file; runs inside hopwise's environment, without kgrec.

    python -I driver.py job.json

The job names the model, settings, seed, threads, limits and folders. Events go to stdout as lines
that start with `EVENT`; the results are `user.npy` and `item.npy` (embeddings whose inner products
are the scores) or `scores.npy`, in the order of kgrec's indices, and last `result.json`.
"""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

EVENT = "@kgrec "
#: Settings of hopwise that are recorded besides the model's own.
RECORDED = (
    "epochs", "stopping_step", "eval_step", "learner", "learning_rate", "weight_decay",
    "train_batch_size", "eval_batch_size", "train_neg_sample_args", "valid_metric", "kg_reverse_r",
    "seed",
)  # fmt: skip
PACKAGES = ("hopwise", "torch", "numpy", "torch-geometric")


class Stop(Exception):  # noqa: N818 - it says what to do, nothing is wrong
    """Ends hopwise's loop: nothing new for `stopping_step` evaluations, or no time left."""


@dataclasses.dataclass
class Watch:
    """Sees every evaluation: keeps the best state, the times, and decides when to stop.

    hopwise's trainer for knowledge models leaves only an inner loop when it should stop early
    (0.9.1), so the stopping rule is applied here, the same as in its general trainer.
    """

    model: Any
    stopping_step: int
    max_seconds: float | None
    started: float
    cpu_started: float = 0.0
    evaluation_seconds: float = 0.0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best: dict[str, Any] | None = None
    best_epoch: int = 0
    best_value: float = -1.0
    stopped: str = "epochs"

    def __call__(self, epoch: int, value: float) -> None:
        """Takes the value of one evaluation; the epoch counts from 0."""
        seconds = time.perf_counter() - self.started
        point = {
            "epoch": epoch + 1,
            "seconds": seconds,
            "training_seconds": seconds - self.evaluation_seconds,
            "cpu_seconds": time.process_time() - self.cpu_started,
            "ndcg@20": float(value),
        }
        self.history.append(point)
        tell(**point)
        if value >= self.best_value:
            self.best, self.best_epoch, self.best_value = (
                state_of(self.model),
                epoch + 1,
                float(value),
            )
        elif epoch + 1 - self.best_epoch > self.stopping_step:
            self.stopped = "early"
            raise Stop
        if self.max_seconds is not None and seconds > self.max_seconds:
            self.stopped = "time"
            raise Stop


def main() -> None:
    """Reads the job, trains, writes the results."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    del sys.argv[1:]  # hopwise reads the command line
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    provide_scatter()
    out = Path(job["out"])
    started, cpu_started = time.perf_counter(), time.process_time()
    config, dataset, model, watch = train(job, started, cpu_started)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak = peak_memory_mb()  # before the scores are written
    write_scores(dataset, model, watch.best, job, out)
    result = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "evaluation_seconds": watch.evaluation_seconds,
        "peak_memory_mb": peak,
        "parameters": sum(p.numel() for p in model.parameters()),
        "epochs": len(watch.history) or watch.best_epoch,
        "best_epoch": watch.best_epoch,
        "stopped": watch.stopped,
        "valid_history": watch.history,
        "settings": recorded(config, job["model"]),
        "threads": torch.get_num_threads(),
        "versions": {
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            "python": platform.python_version(),
        },
    }
    (out / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


def train(job: dict[str, Any], started: float, cpu_started: float) -> tuple[Any, Any, Any, Watch]:
    """Loads the atomic files and trains until nothing gets better."""
    from hopwise.config import Config  # type: ignore[import-not-found]
    from hopwise.data import create_dataset, data_preparation  # type: ignore[import-not-found]
    from hopwise.utils import get_model, get_trainer, init_seed  # type: ignore[import-not-found]

    config = Config(model=job["model"], dataset=job["dataset"], config_dict=job["config"])
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train_data, valid_data, _ = data_preparation(config, dataset)
    sizes = [len(part.dataset) for part in (train_data, valid_data)]
    if sizes != job["sizes"]:
        raise RuntimeError(f"hopwise holds {sizes} pairs of train and valid, not {job['sizes']}")
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train_data.dataset).to(config["device"])
    if job["model"] == "CFKG":
        score_all_items_at_once(model)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    watch = Watch(model, config["stopping_step"], job["max_seconds"], started, cpu_started)
    time_evaluations(trainer, watch)
    if job["evaluate"]:
        with contextlib.suppress(Stop):
            trainer.fit(train_data, valid_data, saved=False, verbose=False, callback_fn=watch)
        return config, dataset, model, watch
    for epoch in range(config["epochs"]):
        trainer._train_epoch(train_data, epoch)
    model.eval()
    with torch.no_grad():
        with contextlib.suppress(NotImplementedError):
            model.full_sort_predict(users_of(dataset, job["scored_users"][:1]))
        watch.best, watch.best_epoch = state_of(model), config["epochs"]
    return config, dataset, model, watch


def users_of(dataset: Any, users: Any) -> Any:
    """Gives hopwise's batch of users, from kgrec's indices (B,)."""
    from hopwise.data.interaction import Interaction  # type: ignore[import-not-found]

    tokens = [str(index) for index in users]
    index = np.asarray(dataset.token2id(dataset.uid_field, tokens), dtype=np.int64)
    return Interaction({dataset.uid_field: torch.from_numpy(index)})


def score_all_items_at_once(model: Any) -> None:
    """Gives CFKG, which hopwise evaluates pair by pair, the same scores as one product."""

    def full_sort_predict(interaction: Any) -> torch.Tensor:
        user, item = cfkg_embeddings(model)
        return (user[interaction[model.USER_ID]] @ item.T).view(-1)

    model.full_sort_predict = full_sort_predict


def time_evaluations(trainer: Any, watch: Watch) -> None:
    """Lets the watch know how much of the time is evaluation."""
    original = trainer._valid_epoch

    def valid_epoch(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*args, **options)
        finally:
            watch.evaluation_seconds += time.perf_counter() - start

    trainer._valid_epoch = valid_epoch


def provide_scatter() -> None:
    """Stands in for torch-scatter, which must be compiled, with the same sums of torch-geometric.

    KGIN and MCCLK import `scatter_mean` and `scatter_softmax` of it, with indices (n,).
    """
    if importlib.util.find_spec("torch_scatter") is not None:
        return
    from torch_geometric.utils import scatter, softmax

    def scatter_mean(
        src: torch.Tensor, index: torch.Tensor, dim: int = 0, dim_size: int | None = None
    ) -> torch.Tensor:
        return scatter(src, index, dim=dim, dim_size=dim_size, reduce="mean")  # type: ignore[no-any-return, unused-ignore]

    def scatter_softmax(src: torch.Tensor, index: torch.Tensor, dim: int = 0) -> torch.Tensor:
        return softmax(src, index, dim=dim)  # type: ignore[no-any-return, unused-ignore]

    module = types.ModuleType("torch_scatter")
    vars(module).update(scatter_mean=scatter_mean, scatter_softmax=scatter_softmax)
    sys.modules["torch_scatter"] = module


def state_of(model: Any) -> dict[str, Any]:
    """What the scores of an evaluation can be made from again: its embeddings, or all weights.

    KGIN and MCCLK draw edges even when they are evaluated; their embeddings are those just judged.
    """
    pair = embeddings(model)
    if pair is None:
        return {name: value.detach().clone() for name, value in model.state_dict().items()}
    return {name: value.detach().clone() for name, value in zip(("user", "item"), pair)}  # noqa: B905


def embeddings(model: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Gives user (U, d) and item (I, d) embeddings if scores are their products, else None."""
    name = type(model).__name__
    if name == "CFKG":
        return cfkg_embeddings(model)
    if getattr(model, "restore_user_e", None) is None:
        return None
    item = model.restore_entity_e if hasattr(model, "restore_entity_e") else model.restore_item_e
    return model.restore_user_e, item[: model.n_items]


def cfkg_embeddings(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """CFKG's score is ⟨u + r, i⟩ with r the embedding of the relation "interacts"."""
    user = model.user_embedding.weight + model.relation_embedding.weight[-1]
    return user, model.entity_embedding.weight[: model.n_items]


@torch.no_grad()
def write_scores(dataset: Any, model: Any, best: Any, job: dict[str, Any], out: Path) -> None:
    """Writes embeddings, or the scores in blocks, in the order of kgrec's indices."""
    num_users, num_items = job["num_users"], job["num_items"]
    users = dataset.token2id(dataset.uid_field, [str(i) for i in range(num_users)])
    items = dataset.token2id(dataset.iid_field, [str(i) for i in range(num_items)])
    if set(best) == {"user", "item"}:
        for name, rows in (("user", users), ("item", items)):
            np.save(out / f"{name}.npy", best[name].cpu().numpy()[rows].astype(np.float32))
        return
    model.load_state_dict(best)
    model.eval()
    scores = np.lib.format.open_memmap(
        out / "scores.npy", mode="w+", dtype=np.float32, shape=(num_users, num_items)
    )
    scored_users = np.array(job["scored_users"])
    size = max(1, job["cells"] // num_items)
    for start in range(0, len(scored_users), size):
        block = scored_users[start : start + size]
        block_scores = model.full_sort_predict(users_of(dataset, block)).view(len(block), -1)
        scores[block] = block_scores.cpu().numpy()[:, items]
    scores.flush()


def recorded(config: Any, model: str) -> dict[str, Any]:
    """The settings it was trained with: the model's own, as its property file names them."""
    import yaml  # type: ignore[import-untyped, unused-ignore]
    from hopwise.utils import get_model

    package = Path(sys.modules[get_model.__module__].__file__ or "").parents[1]
    own = yaml.safe_load((package / "properties" / "model" / f"{model}.yaml").read_text()) or {}
    names = dict.fromkeys([*own, *RECORDED])
    return {name: json.loads(json.dumps(config[name], default=str)) for name in names}


def peak_memory_mb() -> float:
    """Gives the most memory this process has held so far, in MB of 10⁶ bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def tell(**values: Any) -> None:
    """Says something to the process that waits for this one."""
    sys.stdout.write(EVENT + json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ["WANDB_MODE"] = "disabled"
    main()
