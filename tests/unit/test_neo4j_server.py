"""Which JDK runs which Neo4j."""

from pathlib import Path

import neo4j_server
import pytest


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        ([17, 21, 25], 17),  # what Neo4j supports, the best first
        ([11, 21, 25], 21),
        ([11, 19, 25], 19),  # any later one rather than none
        ([11, 26], 26),
        ([8, 11], None),
    ],
)
def test_the_best_jdk_is_chosen(installed: list[int], chosen: int | None) -> None:
    java = {release: Path(f"/jdk/{release}") for release in installed}
    found = neo4j_server._java_for((17, 21), java)
    assert found == (None if chosen is None else java[chosen])
