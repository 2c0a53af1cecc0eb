"""The GPU gives what the CPU gives, within the tolerance that docs/benchmarks.md states."""

import pytest
import torch
from graphs import history_of, random_graph, tensors_of

from kgrec.config import ModelConfig, TrainingConfig
from kgrec.training.loop import train_network

#: Sums of the same products in another order, in float32, over a few training steps.
TOLERANCE = 1e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bpr"])
def test_cuda_equals_cpu(loss: str) -> None:
    graph = random_graph(3)
    settings = TrainingConfig(epochs=3, batch_size=16, loss=loss, num_negatives=8)
    scores = {}
    for name in ("cpu", "cuda"):
        device = torch.device(name)
        scorer, _, _ = train_network(
            tensors_of(graph, text=3).to(device),
            history_of(graph).to(device),
            ModelConfig(channels=8),
            settings,
            seed=0,
        )
        everyone = torch.arange(graph.num_users)
        scores[name] = scorer.score(everyone).cpu()
    torch.testing.assert_close(scores["cuda"], scores["cpu"], atol=TOLERANCE, rtol=TOLERANCE)
