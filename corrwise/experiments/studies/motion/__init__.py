"""How the futures of video predictors move, against the frames that came."""
