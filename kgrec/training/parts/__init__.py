"""The parts of a recommender, one file each; `kgrec.registry` names them."""
