"""The local page that looks inside models: a small server for one person, its guard, and the assets it hands out."""
