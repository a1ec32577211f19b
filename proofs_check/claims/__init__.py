"""One file per theorem: its chain of lemmas as executable claims, each with its negative control."""
