"""Episodes with named costs on named tasks, and the tables made of them."""
