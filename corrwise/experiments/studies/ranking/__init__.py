"""How well each cost ranks the candidates of real plans."""
