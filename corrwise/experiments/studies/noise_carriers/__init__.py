"""The table of noise carriers: what noise keeps when it is carried along a moving scene."""
