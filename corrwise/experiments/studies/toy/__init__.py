"""Average images and curves of loss against offset: an object at uncertain positions on a background."""
