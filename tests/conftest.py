"""Under test, every jaxtyping shape in a signature is checked at run time."""

from jaxtyping import install_import_hook

install_import_hook("corrwise", "beartype.beartype")
