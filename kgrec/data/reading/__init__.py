"""Files, tables and queries as streams of text cells that know where they came from."""
