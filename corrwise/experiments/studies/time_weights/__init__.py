"""Exact checks of time-dependent weights of the loss: which leave the minimiser of a generative model where it is."""
