"""Peers of the hopwise package (RecBole's successor), trained on kgrec's split and graph.

hopwise pins versions that kgrec does not want, so it lives in an environment of its own, and only
files pass between the two: atomic files of the interactions and triples go in, embeddings or scores
and a JSON record come out.
"""
