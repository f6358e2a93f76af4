"""Flow from a small recurrent net, its weights, and what it is made of."""
